//! SQL as a tree, so that a statement can be made smaller without being parsed.

use super::values::{Kind, Value};

/// A part of a statement.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// What it evaluates to, if it is an expression: a part of the same kind can stand in its place.
    kind: Option<Kind>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// A value, written out or sent as a parameter.
    Literal(Value),
    Tree(Tree),
    List(List),
}

#[derive(Clone, Debug)]
struct List {
    /// What stands before the items, if there are any.
    open: String,
    separator: &'static str,
    items: Vec<Tree>,
    least: usize,
}

/// How values get into a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Literals {
    /// They are written in it.
    Written,
    /// They are parameters of it.
    Sent,
}

impl Tree {
    /// A text that is left as it is.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { kind: None, pieces: vec![Piece::Text(text.into())] }
    }

    /// A value.
    pub(super) fn literal(value: Value) -> Self {
        Self { kind: None, pieces: vec![Piece::Literal(value)] }
    }

    /// A text with `{}` where the parts belong.
    pub(super) fn fill<const N: usize>(template: &str, parts: [Self; N]) -> Self {
        let mut pieces = Vec::new();
        let mut parts = parts.into_iter();
        for (index, text) in template.split("{}").enumerate() {
            if index > 0 {
                pieces.push(Piece::Tree(parts.next().expect("as many parts as places")));
            }
            pieces.push(Piece::Text(text.to_owned()));
        }
        debug_assert!(parts.next().is_none(), "{template} has too few places");
        Self { kind: None, pieces }
    }

    /// Parts of which any may be left out as long as `least` remain.
    pub(super) fn list(open: impl Into<String>, separator: &'static str, least: usize, items: Vec<Self>) -> Self {
        Self { kind: None, pieces: vec![Piece::List(List { open: open.into(), separator, items, least })] }
    }

    /// Several parts after each other.
    pub(super) fn row(parts: Vec<Self>) -> Self {
        Self { kind: None, pieces: parts.into_iter().map(Piece::Tree).collect() }
    }

    /// Says what it evaluates to.
    pub(super) fn of(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The statement, and its parameters.
    pub(super) fn render(&self, literals: Literals) -> (String, Vec<Value>) {
        let (mut sql, mut parameters) = (String::new(), Vec::new());
        self.write(literals, &mut sql, &mut parameters);
        (sql, parameters)
    }

    fn write(&self, literals: Literals, sql: &mut String, parameters: &mut Vec<Value>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Literal(value) if literals == Literals::Sent && value.can_be_sent() => {
                    parameters.push(value.clone());
                    sql.push_str(&format!("${}", parameters.len()));
                }
                Piece::Literal(value) => sql.push_str(&value.in_query()),
                Piece::Tree(tree) => tree.write(literals, sql, parameters),
                Piece::List(list) => {
                    for (index, item) in list.items.iter().enumerate() {
                        sql.push_str(if index == 0 { &list.open } else { list.separator });
                        item.write(literals, sql, parameters);
                    }
                }
            }
        }
    }

    /// All trees that are one step smaller. They need not be valid: whoever runs them will be told.
    pub(super) fn smaller(&self) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        if let Some(kind) = self.kind {
            found.extend(self.parts().filter(|part| part.kind == Some(kind)).cloned());
        }
        for (index, piece) in self.pieces.iter().enumerate() {
            let mut replace = |piece: Piece| {
                let mut tree = self.clone();
                tree.pieces[index] = piece;
                found.push(tree);
            };
            match piece {
                Piece::Text(_) | Piece::Literal(_) => {}
                Piece::Tree(tree) => tree.smaller().into_iter().for_each(|tree| replace(Piece::Tree(tree))),
                Piece::List(list) => {
                    if list.items.len() > list.least {
                        for left_out in 0..list.items.len() {
                            let mut list = list.clone();
                            list.items.remove(left_out);
                            replace(Piece::List(list));
                        }
                    }
                    for (place, item) in list.items.iter().enumerate() {
                        for smaller in item.smaller() {
                            let mut list = list.clone();
                            list.items[place] = smaller;
                            replace(Piece::List(list));
                        }
                    }
                }
            }
        }
        found
    }

    fn parts(&self) -> impl Iterator<Item = &Self> {
        self.pieces.iter().flat_map(|piece| match piece {
            Piece::Tree(tree) => std::slice::from_ref(tree),
            Piece::List(list) => &list.items,
            Piece::Text(_) | Piece::Literal(_) => &[],
        })
    }
}

#[test]
fn parts_are_left_out_one_by_one() {
    let item = |text: &str| Tree::text(text).of(Kind::Int);
    let sum = Tree::fill("({} + {})", [item("a"), Tree::literal(Value::Int(1)).of(Kind::Int)]).of(Kind::Int);
    let tree = Tree::row(vec![Tree::list("SELECT ", ", ", 1, vec![sum, item("b")]), Tree::list(" WHERE ", " AND ", 0, vec![item("c")])]);
    assert_eq!(tree.render(Literals::Written).0, "SELECT (a + 1), b WHERE c");
    assert_eq!(tree.render(Literals::Sent).0, "SELECT (a + $1), b WHERE c");
    let smaller: Vec<_> = tree.smaller().iter().map(|tree| tree.render(Literals::Written).0).collect();
    let expected = ["SELECT b WHERE c", "SELECT (a + 1) WHERE c", "SELECT a, b WHERE c", "SELECT 1, b WHERE c", "SELECT (a + 1), b"];
    assert_eq!(smaller, expected);
}
