//! Random conditions over the columns that are in scope.

use super::expressions::{Relation, Writer};
use super::tree::Tree;
use super::values::{Kind, Value, pattern};

impl Writer<'_> {
    /// A condition, at most `depth` operators deep.
    pub(super) fn predicate(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let compound = if depth == 0 { 0 } else { 30 };
        if self.dice.chance(compound) {
            let inner = self.predicate(scope, depth - 1);
            return match self.dice.roll(6) {
                0 | 1 => Tree::fill("({} AND {})", [inner, self.predicate(scope, depth - 1)]),
                2 | 3 => Tree::fill("({} OR {})", [inner, self.predicate(scope, depth - 1)]),
                4 => Tree::fill("(NOT {})", [inner]),
                _ => {
                    let test = self.dice.word(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"]);
                    Tree::fill(&format!("({{}} IS {test})"), [inner])
                }
            }
            .of(Kind::Bool);
        }
        let kind = self.kind(scope);
        let inner = depth.min(1);
        match self.dice.roll(20) {
            0 | 1 => {
                let test = self.dice.word(&["({} IS NULL)", "({} IS NOT NULL)"]);
                Tree::fill(test, [self.value(scope, kind, inner)])
            }
            2..=4 => self.in_list(scope, kind, inner),
            5 => {
                let test = self.dice.word(&["({} BETWEEN {} AND {})", "({} NOT BETWEEN {} AND {})"]);
                Tree::fill(test, [self.value(scope, kind, inner), self.literal(kind), self.literal(kind)])
            }
            6..=8 => self.like(scope, inner),
            9 if kind == Kind::Bool => self.plain(scope, Kind::Bool),
            10 => {
                let (date, moment) = (self.value(scope, Kind::Date, inner), self.value(scope, Kind::Timestamp, inner));
                self.compare(date, moment)
            }
            11 => {
                let (left, right) = (self.value(scope, Kind::Int, inner), self.value(scope, Kind::Numeric, inner));
                self.compare(left, right)
            }
            12 => {
                let (left, right) = (self.value(scope, Kind::Float, inner), self.value(scope, Kind::Int, inner));
                self.compare(left, right)
            }
            13 => self.rows(scope),
            14..=16 => {
                let (left, right) = (self.value(scope, kind, inner), self.value(scope, kind, inner));
                self.compare(left, right)
            }
            _ => {
                let (left, right) = (self.value(scope, kind, inner), self.literal(kind));
                self.compare(left, right)
            }
        }
        .of(Kind::Bool)
    }

    /// Two values compared.
    pub(super) fn compare(&mut self, left: Tree, right: Tree) -> Tree {
        let operator = self.dice.word(&["=", "=", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
        Tree::fill(&format!("({{}} {operator} {{}})"), [left, right]).of(Kind::Bool)
    }

    fn in_list(&mut self, scope: &[Relation], kind: Kind, depth: usize) -> Tree {
        // Zeros with signs differ in lists, as documented.
        let value = self.key(scope, kind, depth);
        let mut items: Vec<_> = (0..1 + self.dice.roll(4)).map(|_| self.literal(kind)).collect();
        if self.dice.chance(10) {
            items.push(Tree::literal(Value::Null));
        }
        if self.dice.chance(8) {
            items.push(self.key(scope, kind, 0));
        }
        let test = self.dice.word(&["IN ({})", "IN ({})", "NOT IN ({})", "= ANY (ARRAY[{}])", "<> ALL (ARRAY[{}])"]);
        Tree::fill(&format!("({{}} {test})"), [value, Tree::list("", ", ", 1, items)])
    }

    fn like(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let value = self.value(scope, Kind::Text, depth);
        match self.dice.roll(12) {
            0 => Tree::fill("starts_with({}, {})", [value, self.literal(Kind::Text)]),
            1 => {
                let operator = self.dice.word(&["~", "~*", "!~"]);
                let regex = self.dice.word(&["'^a'", "'a.b'", "'^.*$'", "'^a.'", "'b$'", "'[ab]'", "'a|é'", "'^.$'", "'\\\\'"]);
                Tree::fill(&format!("({{}} {operator} {regex})"), [value])
            }
            2 => Tree::fill("({} LIKE {})", [value, self.plain(scope, Kind::Text)]),
            _ => {
                let operator = self.dice.word(&["LIKE", "LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"]);
                Tree::fill(&format!("({{}} {operator} {{}})"), [value, Tree::literal(pattern(&mut self.dice))])
            }
        }
    }

    fn rows(&mut self, scope: &[Relation]) -> Tree {
        let (one, two) = (self.kind(scope), self.kind(scope));
        let parts = [self.key(scope, one, 0), self.key(scope, two, 0), self.literal(one), self.literal(two)];
        let operator = self.dice.word(&["=", "<>"]);
        Tree::fill(&format!("(({{}}, {{}}) {operator} ({{}}, {{}}))"), parts)
    }
}
