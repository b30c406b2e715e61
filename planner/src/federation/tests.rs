//! What remotes are asked, as golden texts, and the reasons for what stays here.

use crate::tests::support::world;

/// A statement after `>`, then what is `sent` to the remotes and what is `kept` here and why.
const GOLDEN: &str = include_str!("statements.golden");

#[tokio::test]
async fn statements_are_split_as_written_down() {
    let world = world();
    let mut seen = String::new();
    for sql in GOLDEN.lines().filter_map(|line| line.strip_prefix("> ")) {
        if !seen.is_empty() {
            seen.push('\n');
        }
        seen.push_str(&format!("> {sql}\n"));
        for statement in world.remote_sql(sql).await {
            seen.push_str(&format!("sent {statement}\n"));
        }
        for reason in world.kept(sql).await {
            seen.push_str(&format!("kept {reason}\n"));
        }
    }
    for (at, (seen, golden)) in seen.lines().zip(GOLDEN.lines()).enumerate() {
        assert_eq!(seen, golden, "line {} of statements.golden", at + 1);
    }
    assert_eq!(seen.lines().count(), GOLDEN.lines().count());
}

#[tokio::test]
async fn estimates_of_a_union_do_not_overflow() {
    // A thousand rows, multiplied by ten as often, are more than there are numbers for.
    let branch = format!("SELECT a.id FROM customers a{}", (0..17).map(|at| format!(", \"Odd Table\" t{at}")).collect::<String>());
    let sent = world().remote_sql(&format!("{branch} UNION ALL {branch}")).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].contains(" UNION ALL "), "{sent:?}");
}
