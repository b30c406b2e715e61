//! What is shipped, what narrows, what stays here and why: a table of expressions over columns of every comparison.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, cast, col, in_list, lit, when};
use datafusion::scalar::ScalarValue;

use super::{TableScope, Translation, translate, translate_value};
use crate::remote::{Comparison, Presentation, RemoteColumn, RemoteTable, TableKind};
use crate::sql::Quoting;
use crate::sql::dialect::{Argument, Dialect, LikeSupport, NullOrder};

/// Prints plainly, computes everything: what is refused here is refused by the walk itself.
#[derive(Debug)]
struct Plain;

impl Dialect for Plain {
    fn quote(&self, identifier: &str) -> String {
        identifier.to_owned()
    }

    fn quoting(&self) -> Quoting {
        Quoting::Standard
    }

    fn table(&self, schema: &str, name: &str) -> String {
        format!("{schema}.{name}")
    }

    fn literal(&self, value: &ScalarValue) -> Option<String> {
        match value {
            ScalarValue::Utf8(Some(text)) => Some(format!("'{}'", text.replace('\'', "''"))),
            ScalarValue::Binary(_) => None,
            other => Some(other.to_string()),
        }
    }

    fn literal_of(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        (column.name == "json" && value.to_string() == "own").then(|| "OWN".to_owned())
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        Some(data_type.to_string())
    }

    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String> {
        matches!((from, to), (DataType::Int32, DataType::Int64)).then(|| format!("CAST({sql} AS bigint)"))
    }

    fn output(&self, column: &RemoteColumn, sql: &str) -> String {
        if column.name == "json" { format!("{sql}::text") } else { sql.to_owned() }
    }

    fn tells_null(&self, column: &RemoteColumn) -> bool {
        column.name != "at"
    }

    fn order_by(&self, sql: &str, _data_type: &DataType, _ascending: bool, _nulls: NullOrder) -> String {
        sql.to_owned()
    }

    fn group_by(&self, sql: &str, _data_type: &DataType) -> String {
        sql.to_owned()
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("{left} IS NOT DISTINCT FROM {right}")
    }

    fn joins_outer_on_anything(&self) -> bool {
        true
    }

    fn like(&self) -> LikeSupport {
        LikeSupport::Exact
    }

    fn longest_list(&self) -> usize {
        1_000
    }

    fn computes(&self) -> bool {
        true
    }

    fn quotient(&self, left: &str, right: &str, scale: u8) -> Option<String> {
        Some(format!("quotient({left}, {right}, {scale})"))
    }

    fn computes_named_queries_once(&self) -> bool {
        false
    }

    fn takes_subqueries_for_values(&self) -> bool {
        true
    }

    fn keeps_collations(&self) -> bool {
        true
    }

    fn function(&self, name: &str, arguments: &[Argument<'_>], _result: &DataType) -> Option<String> {
        matches!(name, "abs" | "lower" | "coalesce")
            .then(|| format!("{name}({})", arguments.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", ")))
    }

    fn aggregate(&self, _name: &str, _argument: Option<&Argument<'_>>, _over: &str, _result: &DataType) -> Option<String> {
        None
    }

    fn limit(&self, _limit: Option<u64>, _offset: u64) -> String {
        String::new()
    }
}

fn column(name: &str, data_type: DataType, comparison: Comparison, collation: Option<&str>) -> RemoteColumn {
    RemoteColumn {
        name: name.to_owned(),
        remote_type: "remote type".to_owned(),
        data_type,
        presentation: if name == "bpchar" { Presentation::Bpchar } else { Presentation::Plain },
        nullable: true,
        comment: None,
        collation: collation.map(str::to_owned),
        comparison,
    }
}

fn table() -> RemoteTable {
    use DataType::{Boolean, Decimal128, Float64, Int32, Int64, Utf8};
    RemoteTable {
        schema: "s".to_owned(),
        name: "t".to_owned(),
        kind: TableKind::Table,
        columns: vec![
            column("int", Int32, Comparison::Total, None),
            column("long", Int64, Comparison::Total, None),
            column("money", Decimal128(10, 2), Comparison::Total, None),
            column("float", Float64, Comparison::Float, None),
            column("flag", Boolean, Comparison::Total, None),
            column("oddflag", Boolean, Comparison::None, None),
            column("bytewise", Utf8, Comparison::Total, Some("C")),
            column("locale", Utf8, Comparison::Equality, Some("en_US")),
            column("other", Utf8, Comparison::Equality, Some("de_DE")),
            column("folded", Utf8, Comparison::SupersetEquality, Some("general_ci")),
            column("bpchar", Utf8, Comparison::Equality, Some("en_US")),
            column("json", Utf8, Comparison::None, None),
            column("at", DataType::Timestamp(TimeUnit::Microsecond, None), Comparison::Total, None),
        ],
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        comment: None,
        row_estimate: None,
    }
}

fn verdict(expr: &Expr) -> Translation {
    let table = table();
    translate(&Plain, expr, &TableScope::new(&table, &Plain, Some("t0")))
}

#[track_caller]
fn exact(expr: &Expr, sql: &str) {
    assert_eq!(verdict(expr), Translation::Exact(sql.to_owned()));
}

#[track_caller]
fn superset(expr: &Expr, sql: &str) {
    assert_eq!(verdict(expr), Translation::Superset(sql.to_owned()));
}

#[track_caller]
fn local(expr: &Expr, reason: &str) {
    match verdict(expr) {
        Translation::Local(found) => assert!(found.contains(reason), "the reason is {found:?}, not {reason:?}"),
        other => panic!("shipped: {other:?}"),
    }
}

#[test]
fn comparisons_that_agree_are_exact() {
    exact(&col("int").eq(lit(5_i32)), "(t0.int = 5)");
    exact(&col("int").not_eq(lit(5_i32)), "(t0.int <> 5)");
    exact(&col("bytewise").lt(lit("x")), "(t0.bytewise < 'x')");
    exact(&col("locale").eq(lit("it's")), "(t0.locale = 'it''s')");
    exact(&col("locale").not_eq(lit("x")), "(t0.locale <> 'x')");
    exact(&col("money").is_null(), "(t0.money IS NULL)");
    exact(&col("json").is_not_null(), "(t0.json::text IS NOT NULL)");
    exact(&col("json").eq(lit("own")), "(t0.json = OWN)");
    exact(&lit("own").not_eq(col("json")), "(t0.json <> OWN)");
    exact(&in_list(col("json"), vec![lit("own")], true), "(t0.json NOT IN (OWN))");
    local(&col("json").lt(lit("own")), "column json compares otherwise");
    local(&in_list(col("json"), vec![lit("own"), lit("x")], false), "column json compares otherwise");
    exact(&col("flag"), "t0.flag");
    exact(&col("int").between(lit(1_i32), lit(3_i32)), "(t0.int BETWEEN 1 AND 3)");
    exact(&col("int").not_between(lit(1_i32), lit(3_i32)), "(t0.int NOT BETWEEN 1 AND 3)");
}

#[test]
fn null_is_asked_for_where_the_source_tells_it() {
    exact(&cast(col("int"), DataType::Int64).is_null(), "(t0.int IS NULL)");
    local(&col("at").is_null(), "IS NULL on column at");
    local(&col("at").is_not_null(), "IS NULL on column at");
    superset(&col("at").is_null().and(col("int").is_null()), "(t0.int IS NULL)");
}

#[test]
fn the_collation_decides_on_text() {
    local(&col("locale").lt(lit("x")), "collation en_US is not C: range kept local");
    local(&col("locale").between(lit("a"), lit("b")), "range kept local");
    superset(&col("folded").eq(lit("x")), "(t0.folded = 'x')");
    local(&col("folded").not_eq(lit("x")), "only = narrows");
    local(&col("folded").gt(lit("x")), "only = narrows");
    local(&col("json").eq(lit("{}")), "column json compares otherwise");
    local(&col("locale").eq(col("other")), "collations en_US and de_DE differ");
    local(&col("locale").eq(col("bpchar")), "character(n) beside other text");
}

#[test]
fn floats_agree_but_at_zero_and_nan() {
    exact(&col("float").gt(lit(1.5_f64)), "(t0.float > 1.5)");
    local(&col("float").gt(lit(0.0_f64)), "zero and NaN");
    local(&col("float").eq(lit(f64::NAN)), "zero and NaN");
    local(&col("float").lt(col("float")), "zero and NaN");
}

#[test]
fn a_superset_narrows_but_never_decides() {
    let narrows = || col("folded").eq(lit("x"));
    superset(&narrows().and(col("int").eq(lit(1_i32))), "((t0.folded = 'x') AND (t0.int = 1))");
    superset(&narrows().or(col("int").eq(lit(1_i32))), "((t0.folded = 'x') OR (t0.int = 1))");
    local(&!narrows(), "needs an exact answer");
    local(&narrows().is_not_true(), "needs an exact answer");
    local(&when(narrows(), lit(true)).otherwise(lit(false)).unwrap(), "only narrowed");
    let half = col("int").eq(lit(1_i32)).and(col("json").eq(lit("{}")));
    superset(&half, "(t0.int = 1)");
    local(&!half, "needs an exact answer");
    local(&col("int").eq(lit(1_i32)).or(col("json").eq(lit("{}"))), "column json");
}

#[test]
fn in_lists_hold_literals_only() {
    exact(&in_list(col("int"), vec![lit(1_i32), lit(2_i32)], false), "(t0.int IN (1, 2))");
    exact(&in_list(col("locale"), vec![lit("a")], true), "(t0.locale NOT IN ('a'))");
    superset(&in_list(col("folded"), vec![lit("a"), lit("b")], false), "(t0.folded IN ('a', 'b'))");
    local(&in_list(col("folded"), vec![lit("a")], true), "only = narrows");
    local(&in_list(col("int"), vec![col("int")], false), "more than literals");
    local(&in_list(col("int"), vec![lit(ScalarValue::Int32(None))], true), "is kept local");
    local(&in_list(col("int"), (0..1001).map(|i: i32| lit(i)).collect(), false), "longer than 1000");
}

#[test]
fn like_needs_a_plain_pattern_on_a_plain_text() {
    exact(&col("locale").like(lit("a%")), "(t0.locale LIKE 'a%' ESCAPE '\\')");
    exact(&col("bytewise").not_like(lit("_b")), "(t0.bytewise NOT LIKE '_b' ESCAPE '\\')");
    local(&col("locale").like(lit("a\\%")), "escape");
    local(&col("locale").ilike(lit("a%")), "ILIKE");
    local(&col("bpchar").like(lit("a%")), "LIKE on");
    local(&col("folded").like(lit("a%")), "LIKE on");
    local(&col("locale").like(col("bytewise")), "not a literal");
}

#[test]
fn conditions_divide_by_nothing_that_may_be_zero() {
    let (two, quotient) = (ScalarValue::Decimal128(Some(200), 10, 2), ScalarValue::Decimal128(Some(2_000_000), 16, 6));
    let sql = format!("(quotient(t0.money, {two}, 6) = {quotient})");
    let (two, quotient) = (lit(two), || lit(quotient.clone()));
    exact(&(col("money") / two.clone()).eq(quotient()), &sql);
    local(&(two / col("money")).eq(quotient()), "a division by zero fails");
    let zero = lit(ScalarValue::Decimal128(Some(0), 10, 2));
    local(&(col("money") / zero).eq(quotient()), "a division by zero fails");
}

#[test]
fn a_text_made_of_one_column_compares_as_that_does() {
    let lower = |name: &str| datafusion::functions::string::expr_fn::lower(col(name));
    exact(&lower("bytewise").lt(lit("x")), "(lower(t0.bytewise) < 'x')");
    exact(&lower("bpchar").eq(lit("x")), "(lower(t0.bpchar) = 'x')");
    local(&lower("locale").lt(lit("x")), "collation en_US is not C: range kept local");
    local(&lower("locale").eq(lower("other")), "collations en_US and de_DE differ");
    let either = datafusion::functions::core::expr_fn::coalesce(vec![col("locale"), col("bytewise")]);
    local(&either.eq(lit("x")), "compares otherwise");
}

#[test]
fn types_must_meet_exactly() {
    exact(&cast(col("int"), DataType::Int64).eq(lit(5_i64)), "(CAST(t0.int AS bigint) = 5)");
    local(&cast(col("long"), DataType::Int32).eq(lit(5_i32)), "cast from Int64 to Int32");
    local(&col("int").eq(lit(5_i64)), "comparing Int32 with Int64");
    local(&col("int").eq(lit(ScalarValue::Int32(None))), "is kept local");
    local(&col("oddflag"), "not a plain boolean");
    local(&col("int"), "is not a condition");
    local(&Expr::Column(Column::from_name("elsewhere")).is_null(), "not a column of this source");
}

#[test]
fn values_are_exact_or_stay() {
    let table = table();
    let scope = TableScope::new(&table, &Plain, None);
    let value = |expr: Expr| translate_value(&Plain, &expr, &scope).map(|v| (v.sql, v.data_type.clone(), v.comparison));
    assert_eq!(value(col("money") * col("money")).unwrap(), ("(money * money)".to_owned(), DataType::Decimal128(21, 4), Comparison::Total));
    assert!(value(col("float") + col("float")).is_err());
    assert!(value(col("int") / col("int")).is_err());
    let quotient = ("quotient(money, money, 6)".to_owned(), DataType::Decimal128(16, 6), Comparison::Total);
    assert_eq!(value(col("money") / col("money")).unwrap(), quotient);
    assert_eq!(value(when(col("flag"), lit(1_i32)).otherwise(lit(0_i32)).unwrap()).unwrap().0, "(CASE WHEN flag THEN 1 ELSE 0 END)");
    let abs = datafusion::functions::math::expr_fn::abs(col("int"));
    assert_eq!(value(abs).unwrap(), ("abs(int)".to_owned(), DataType::Int32, Comparison::Total));
    let sqrt = datafusion::functions::math::expr_fn::sqrt(col("float"));
    assert!(value(sqrt).unwrap_err().contains("function sqrt"));
}
