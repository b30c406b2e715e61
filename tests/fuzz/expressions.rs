//! Random expressions of a wanted kind over the columns that are in scope.

use super::dice::Dice;
use super::tables::Table;
use super::tree::Tree;
use super::values::{IN_QUERIES, Kind, any};

/// What an alias in a query stands for.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) alias: String,
    /// Names as they are written, and kinds.
    pub(super) columns: Vec<(String, Kind)>,
}

impl Relation {
    /// One of its columns. What two joined relations share has no alias.
    fn of(&self, column: &str) -> String {
        if self.alias.is_empty() { column.to_owned() } else { format!("{}.{column}", self.alias) }
    }
}

/// Makes queries over some tables.
pub(super) struct Writer<'a> {
    pub(super) dice: Dice,
    pub(super) tables: &'a [Table],
    /// How many aliases there are.
    pub(super) aliases: usize,
    /// What `WITH` has defined where we are.
    pub(super) defined: Vec<Relation>,
    /// How many more subqueries and derived tables the statement may have.
    pub(super) subqueries: usize,
}

impl Writer<'_> {
    /// A column of this kind.
    pub(super) fn column(&mut self, scope: &[Relation], kind: Kind) -> Option<Tree> {
        let fits = |relation: &Relation| {
            let names = relation.columns.iter().filter(|(_, other)| *other == kind);
            names.map(|(name, _)| relation.of(name)).collect::<Vec<_>>()
        };
        let columns: Vec<_> = scope.iter().flat_map(fits).collect();
        (!columns.is_empty()).then(|| Tree::text(self.dice.pick(&columns).clone()).of(kind))
    }

    /// A value whose type what it is compared with tells, should it be a parameter.
    pub(super) fn literal(&mut self, kind: Kind) -> Tree {
        Tree::literal(any(&mut self.dice, kind, IN_QUERIES)).of(kind)
    }

    /// A value whose type is written beside it.
    pub(super) fn typed_literal(&mut self, kind: Kind) -> Tree {
        let literal = Tree::literal(any(&mut self.dice, kind, IN_QUERIES));
        match kind {
            Kind::Int => Tree::fill("{}::int", [literal]),
            Kind::Float => Tree::fill("{}::float8", [literal]),
            Kind::Text => Tree::fill("{}::text", [literal]),
            Kind::Bool => Tree::fill("{}::boolean", [literal]),
            Kind::Date => Tree::fill("{}::date", [literal]),
            Kind::Numeric | Kind::Timestamp | Kind::Timestamptz | Kind::Bytes | Kind::Uuid => literal,
        }
        .of(kind)
    }

    /// A column, or a value where there is none.
    pub(super) fn plain(&mut self, scope: &[Relation], kind: Kind) -> Tree {
        match self.column(scope, kind) {
            Some(column) if self.dice.chance(97) => column,
            _ => self.typed_literal(kind),
        }
    }

    /// A kind that a column in scope has.
    pub(super) fn kind(&mut self, scope: &[Relation]) -> Kind {
        let kinds: Vec<Kind> = scope.iter().flat_map(|relation| relation.columns.iter().map(|(_, kind)| *kind)).collect();
        if kinds.is_empty() { Kind::Int } else { *self.dice.pick(&kinds) }
    }

    /// A kind whose values become those of `kind` where they may stand for one another.
    pub(super) fn beside(&mut self, kind: Kind) -> Kind {
        match kind {
            Kind::Float if self.dice.chance(25) => Kind::Numeric,
            Kind::Numeric if self.dice.chance(25) => Kind::Int,
            Kind::Timestamp if self.dice.chance(25) => Kind::Date,
            other => other,
        }
    }

    /// An expression whose values can be told apart in the same way by every engine: zeros of a double have no sign in it.
    pub(super) fn key(&mut self, scope: &[Relation], kind: Kind, depth: usize) -> Tree {
        let value = self.value(scope, kind, depth);
        match kind {
            Kind::Float => Tree::fill("({} + 0)", [value]).of(kind),
            _ => value,
        }
    }

    /// An expression of this kind, at most `depth` operators deep.
    pub(super) fn value(&mut self, scope: &[Relation], kind: Kind, depth: usize) -> Tree {
        if depth == 0 || self.dice.chance(50) {
            return self.plain(scope, kind);
        }
        match self.dice.roll(10) {
            0 => {
                let parts = [self.value(scope, kind, depth - 1), self.literal(kind)];
                Tree::fill("coalesce({}, {})", parts)
            }
            1 => {
                let beside = self.beside(kind);
                let mut parts = [self.value(scope, kind, depth - 1), self.value(scope, beside, depth - 1)];
                if self.dice.chance(50) {
                    parts.reverse();
                }
                Tree::fill("coalesce({}, {})", parts)
            }
            2 => {
                let parts = [self.value(scope, kind, depth - 1), self.literal(kind)];
                Tree::fill("nullif({}, {})", parts)
            }
            3 => self.case(scope, kind, depth),
            4 if matches!(kind, Kind::Int | Kind::Numeric | Kind::Text | Kind::Date | Kind::Timestamp) => {
                let beside = self.beside(kind);
                let parts = [self.value(scope, kind, depth - 1), self.value(scope, beside, depth - 1)];
                Tree::fill(self.dice.word(&["greatest({}, {})", "least({}, {})"]), parts)
            }
            _ => match kind {
                Kind::Int => self.integer(scope, depth),
                Kind::Numeric => self.numeric(scope, depth),
                Kind::Float => self.float(scope, depth),
                Kind::Text => self.string(scope, depth),
                Kind::Bool => self.predicate(scope, depth),
                Kind::Date => self.date(scope, depth),
                Kind::Timestamp => self.timestamp(scope, depth),
                Kind::Timestamptz => self.timestamptz(scope, depth),
                Kind::Bytes | Kind::Uuid => self.plain(scope, kind),
            },
        }
        .of(kind)
    }

    fn case(&mut self, scope: &[Relation], kind: Kind, depth: usize) -> Tree {
        let then = self.value(scope, kind, depth - 1);
        let condition = self.predicate(scope, depth - 1);
        match self.dice.roll(4) {
            0 => Tree::fill("CASE WHEN {} THEN {} END", [condition, then]),
            1 => {
                let subject_kind = self.kind(scope);
                let parts = [self.plain(scope, subject_kind), self.literal(subject_kind), then, self.value(scope, kind, depth - 1)];
                Tree::fill("CASE {} WHEN {} THEN {} ELSE {} END", parts)
            }
            2 => {
                let parts = [condition, then, self.predicate(scope, depth - 1), self.literal(kind), self.value(scope, kind, depth - 1)];
                Tree::fill("CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END", parts)
            }
            _ => {
                let beside = self.beside(kind);
                Tree::fill("CASE WHEN {} THEN {} ELSE {} END", [condition, then, self.value(scope, beside, depth - 1)])
            }
        }
    }

    fn integer(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let inner = self.value(scope, Kind::Int, depth - 1);
        let constant = Tree::text(self.dice.word(&["1", "2", "3", "10", "(-3)", "7"])).of(Kind::Int);
        match self.dice.roll(12) {
            0 => Tree::fill("({} % 1000 + {})", [inner, constant]),
            1 => Tree::fill("({} - {})", [inner, constant]),
            2 => Tree::fill("({} % 1000 * {})", [inner, constant]),
            3 => Tree::fill("({} % {})", [inner, constant]),
            4 => Tree::fill("({} / {})", [inner, constant]),
            5 => Tree::fill("({} / nullif({}, 0))", [inner, self.plain(scope, Kind::Int)]),
            6 => Tree::fill("abs({} % 100)", [inner]),
            7 => Tree::fill(self.dice.word(&["length({})", "octet_length({})"]), [self.value(scope, Kind::Text, depth - 1)]),
            8 => Tree::fill("strpos({}, {})", [self.value(scope, Kind::Text, depth - 1), self.typed_literal(Kind::Text)]),
            9 => Tree::fill("({} - {})", [self.value(scope, Kind::Date, depth - 1), self.plain(scope, Kind::Date)]),
            10 => {
                let field = self.dice.word(&["year", "month", "day", "dow", "doy", "quarter"]);
                let moment = if self.dice.chance(50) { Kind::Date } else { Kind::Timestamp };
                Tree::fill(&format!("extract({field} FROM {{}})::int"), [self.value(scope, moment, depth - 1)])
            }
            _ => Tree::fill("(-({} % 100))", [inner]),
        }
    }

    fn numeric(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let inner = self.value(scope, Kind::Numeric, depth - 1);
        match self.dice.roll(9) {
            0 => Tree::fill("({} + {})", [inner, self.plain(scope, Kind::Numeric)]),
            1 => Tree::fill("({} - {})", [inner, self.typed_literal(Kind::Numeric)]),
            2 => Tree::fill("({} * {})", [inner, Tree::text(self.dice.word(&["2", "0.5", "(-1.25)"])).of(Kind::Numeric)]),
            3 => Tree::fill("({} + {})", [inner, self.value(scope, Kind::Int, depth - 1)]),
            4 => Tree::fill("abs({})", [inner]),
            5 => Tree::fill(self.dice.word(&["round({}, 1)", "round({})", "floor({})", "ceil({})", "trunc({})"]), [inner]),
            6 => Tree::fill("{}::numeric(20, 2)", [self.value(scope, Kind::Int, depth - 1)]),
            7 => Tree::fill("(-{})", [inner]),
            _ => Tree::fill("({} % {})", [inner, Tree::text(self.dice.word(&["2", "0.75", "10"])).of(Kind::Numeric)]),
        }
    }

    fn float(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let inner = self.value(scope, Kind::Float, depth - 1);
        match self.dice.roll(6) {
            0 => Tree::fill("({} + 0.5::float8)", [inner]),
            1 => Tree::fill("({} * 2)", [inner]),
            2 => Tree::fill("abs({})", [inner]),
            3 => Tree::fill("{}::float8", [self.value(scope, Kind::Int, depth - 1)]),
            4 => Tree::fill("floor({})", [inner]),
            _ => Tree::fill("({} - {})", [inner, self.typed_literal(Kind::Float)]),
        }
    }

    fn string(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let inner = self.value(scope, Kind::Text, depth - 1);
        match self.dice.roll(16) {
            // One letter has no capital in PostgreSQL, and two here, as documented.
            0 => Tree::fill("upper(replace({}, 'ß', 's'))", [inner]),
            1 => Tree::fill("lower({})", [inner]),
            2 => Tree::fill(self.dice.word(&["trim({})", "ltrim({})", "rtrim({})", "reverse({})", "btrim({}, 'a ')"]), [inner]),
            3 | 4 => Tree::fill("({} || {})", [inner, self.value(scope, Kind::Text, depth - 1)]),
            5 => Tree::fill("({} || {})", [inner, self.typed_literal(Kind::Text)]),
            6 => Tree::fill(
                self.dice.word(&["substr({}, 1, 1)", "substr({}, 0, 2)", "substr({}, 2)", "substring({} FROM 2 FOR 1)"]),
                [inner],
            ),
            7 => Tree::fill(self.dice.word(&["left({}, 1)", "right({}, 1)", "left({}, -1)", "right({}, -1)"]), [inner]),
            8 => Tree::fill("replace({}, {}, {})", [inner, self.typed_literal(Kind::Text), self.typed_literal(Kind::Text)]),
            9 => Tree::fill("{}::text", [self.value(scope, Kind::Int, depth - 1)]),
            10 => Tree::fill("{}::text", [self.value(scope, Kind::Date, depth - 1)]),
            11 => Tree::fill("{}::text", [self.value(scope, Kind::Bool, depth - 1)]),
            12 => Tree::fill("concat({}, {})", [inner, self.value(scope, Kind::Text, depth - 1)]),
            13 => Tree::fill("concat_ws('-', {}, {})", [inner, self.plain(scope, Kind::Text)]),
            14 => Tree::fill("split_part({}, 'b', 1)", [inner]),
            _ => Tree::fill(self.dice.word(&["lpad({}, 3, '*')", "rpad({}, 2)", "repeat({}, 2)", "translate({}, 'aé', 'x')"]), [inner]),
        }
    }

    fn date(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let inner = self.value(scope, Kind::Date, depth - 1);
        match self.dice.roll(5) {
            0 => Tree::fill(self.dice.word(&["({} + 1)", "({} - 30)", "({} + 366)"]), [inner]),
            1 => Tree::fill("({} + {} % 100)", [inner, self.plain(scope, Kind::Int)]),
            2 => Tree::fill("{}::date", [self.value(scope, Kind::Timestamp, depth - 1)]),
            3 => Tree::fill(self.dice.word(&["({} + interval '1 month')::date", "({} - interval '1 year')::date"]), [inner]),
            _ => inner,
        }
    }

    fn timestamp(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let inner = self.value(scope, Kind::Timestamp, depth - 1);
        match self.dice.roll(6) {
            0 | 1 => {
                let span = self.dice.word(&["1 day", "1 month", "90 minutes", "-1 month", "1 year 2 days", "0.5 seconds"]);
                Tree::fill(&format!("({{}} + interval '{span}')"), [inner])
            }
            2 => {
                let unit = self.dice.word(&["year", "quarter", "month", "week", "day", "hour", "minute"]);
                Tree::fill(&format!("date_trunc('{unit}', {{}})"), [inner])
            }
            3 => Tree::fill("{}::timestamp", [self.value(scope, Kind::Date, depth - 1)]),
            4 => Tree::fill("({} - interval '1 month')", [self.value(scope, Kind::Date, depth - 1)]),
            _ => inner,
        }
    }

    fn timestamptz(&mut self, scope: &[Relation], depth: usize) -> Tree {
        let inner = self.value(scope, Kind::Timestamptz, depth - 1);
        match self.dice.roll(3) {
            0 => Tree::fill(self.dice.word(&["({} + interval '1 day')", "({} - interval '1 month')"]), [inner]),
            1 => Tree::fill("{}::timestamptz", [self.plain(scope, Kind::Timestamp)]),
            _ => inner,
        }
    }
}
