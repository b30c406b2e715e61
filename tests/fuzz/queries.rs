//! Random statements.

use causeway_tests::Order;

use super::dice::Dice;
use super::expressions::{Relation, Writer};
use super::tables::Table;
use super::tree::{Literals, Tree};
use super::values::{Kind, Value};

/// The frames of windows.
const FRAMES: [&str; 9] = [
    "",
    "",
    " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
    " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
];

/// A statement, and how to run it.
#[derive(Clone)]
pub(super) struct Statement {
    body: Tree,
    /// By all of its columns.
    order: Option<Tree>,
    limit: Option<Tree>,
    pub(super) literals: Literals,
}

impl Statement {
    pub(super) fn render(&self) -> (String, Vec<Value>) {
        let parts = [Some(&self.body), self.order.as_ref(), self.limit.as_ref()];
        Tree::row(parts.into_iter().flatten().cloned().collect()).render(self.literals)
    }

    /// Whether the order of its rows is part of its answer.
    pub(super) fn order(&self) -> Order {
        if self.order.is_some() { Order::Given } else { Order::Any }
    }

    /// All statements that are one step smaller, the smallest first.
    pub(super) fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        if self.order.is_some() {
            found.push(Self { order: None, limit: None, ..self.clone() });
        }
        if self.limit.is_some() {
            found.push(Self { limit: None, ..self.clone() });
        }
        if self.literals == Literals::Sent {
            found.push(Self { literals: Literals::Written, ..self.clone() });
        }
        found.extend(self.body.smaller().into_iter().map(|body| Self { body, ..self.clone() }));
        found.sort_by_cached_key(|statement| statement.render().0.len());
        found
    }
}

/// A SELECT, and the kinds of its columns, which are called `c1`, `c2` and so on.
struct Select {
    tree: Tree,
    kinds: Vec<Kind>,
}

/// A random statement over these tables.
pub(super) fn statement(dice: Dice, tables: &[Table]) -> Statement {
    let mut writer = Writer { dice, tables, aliases: 0, defined: Vec::new(), subqueries: 3 };
    let literals = if writer.dice.chance(20) { Literals::Sent } else { Literals::Written };
    // What is defined and not used has no parameters here.
    let with = if literals == Literals::Written { writer.with() } else { Tree::text("") };
    let select = writer.any_select(&[], None);
    let order = writer.dice.chance(30).then(|| writer.order_by(select.kinds.len()));
    let limit = (order.is_some() && writer.dice.chance(70)).then(|| writer.limit());
    Statement { body: Tree::row(vec![with, select.tree]), order, limit, literals }
}

impl Writer<'_> {
    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("x{}", self.aliases)
    }

    fn with(&mut self) -> Tree {
        let mut items = Vec::new();
        while self.dice.chance(15) && self.subqueries > 0 {
            self.subqueries -= 1;
            let name = format!("w{}", items.len() + 1);
            let select = self.any_select(&[], None);
            items.push(Tree::fill(&format!("{name} AS ({{}})"), [select.tree]));
            self.defined.push(Relation { alias: name, columns: named(&select.kinds) });
        }
        let with = Tree::list("WITH ", ", ", 0, items);
        Tree::row(vec![with, Tree::text(" ")])
    }

    /// All columns are sorted by, so that rows that tie are equal.
    fn order_by(&mut self, columns: usize) -> Tree {
        let mut places: Vec<_> = (1..=columns).collect();
        for index in (1..columns).rev() {
            places.swap(index, self.dice.roll(index + 1));
        }
        let keys: Vec<_> = places.iter().map(|place| format!("{place}{}", self.direction())).collect();
        Tree::text(format!(" ORDER BY {}", keys.join(", ")))
    }

    fn direction(&mut self) -> &'static str {
        self.dice.word(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"])
    }

    fn limit(&mut self) -> Tree {
        let limit = self.dice.word(&["", " LIMIT 1", " LIMIT 3", " LIMIT 10", " LIMIT 25", " LIMIT 0"]);
        let offset = self.dice.word(&["", "", "", " OFFSET 2", " OFFSET 100"]);
        Tree::row(vec![Tree::list("", "", 0, vec![Tree::text(limit)]), Tree::list("", "", 0, vec![Tree::text(offset)])])
    }

    /// A SELECT of any form; of columns of these kinds, if some are wanted.
    fn any_select(&mut self, outer: &[Relation], wanted: Option<&[Kind]>) -> Select {
        match self.dice.roll(20) {
            0 | 1 if outer.is_empty() || self.dice.chance(10) => self.set_operation(outer, wanted),
            2..=7 if wanted.is_none() => self.grouped(outer),
            8 | 9 if wanted.is_none() => self.windowed(),
            _ => self.plain_select(outer, wanted),
        }
    }

    fn set_operation(&mut self, outer: &[Relation], wanted: Option<&[Kind]>) -> Select {
        let mut left = self.plain_select(outer, wanted);
        let beside: Vec<_> = left.kinds.iter().map(|kind| self.beside(*kind)).collect();
        let mut right = self.plain_select(outer, Some(&beside));
        if self.dice.chance(50) {
            std::mem::swap(&mut left.tree, &mut right.tree);
        }
        let operator = self.dice.word(&["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"]);
        Select { tree: Tree::fill(&format!("{{}} {operator} {{}}"), [left.tree, right.tree]), kinds: left.kinds }
    }

    fn plain_select(&mut self, outer: &[Relation], wanted: Option<&[Kind]>) -> Select {
        let (from, scope, conditions) = self.from();
        let kinds = match wanted {
            Some(kinds) => kinds.to_vec(),
            None => (0..1 + self.dice.roll(4)).map(|_| self.kind(&scope)).collect(),
        };
        let items: Vec<_> = kinds.iter().map(|kind| self.key(&scope, *kind, 2)).collect();
        let clause = self.r#where(&scope, outer, conditions);
        let distinct = if self.dice.chance(15) { "DISTINCT " } else { "" };
        let (items, kinds) =
            if wanted.is_none() && self.dice.chance(8) { self.scalar_subquery(items, kinds, &scope) } else { (items, kinds) };
        let tree = Tree::row(vec![Tree::text(format!("SELECT {distinct}")), selected(items), from, clause]);
        Select { tree, kinds }
    }

    /// Adds a subquery that gives one value.
    fn scalar_subquery(&mut self, mut items: Vec<Tree>, mut kinds: Vec<Kind>, scope: &[Relation]) -> (Vec<Tree>, Vec<Kind>) {
        if self.subqueries > 0 {
            self.subqueries -= 1;
            let (relation, text) = self.table();
            kinds.push(Kind::Int);
            if self.dice.chance(40) {
                // One row at most, of a column that is never NULL.
                let sought = self.literal(Kind::Int);
                let one = Tree::fill(&format!("(SELECT {0}.id FROM {text} WHERE {0}.id = {{}})", relation.alias), [sought]);
                items.push(Tree::fill(self.dice.word(&["{}", "coalesce({}, -7)", "CASE WHEN {} IS NULL THEN 1 ELSE 0 END"]), [one]));
                return (items, kinds);
            }
            let link = if self.dice.chance(70) { self.link(scope, &relation) } else { self.predicate(std::slice::from_ref(&relation), 1) };
            let aggregate = self.dice.word(&["count(*)", "max({}.id)", "sum({}.id)", "count({}.id)"]).replace("{}", &relation.alias);
            items.push(Tree::fill(&format!("(SELECT {aggregate} FROM {text} WHERE {{}})"), [link]));
        }
        (items, kinds)
    }

    fn grouped(&mut self, outer: &[Relation]) -> Select {
        let (from, scope, conditions) = self.from();
        let mut kinds: Vec<_> = (0..self.dice.roll(3)).map(|_| self.kind(&scope)).collect();
        // Grouping sets of what is computed are not always parsed.
        let columns = self.dice.chance(40);
        let mut items: Vec<_> = kinds.iter().map(|kind| self.key(&scope, *kind, usize::from(!columns))).collect();
        let keys = items.len();
        let by = items.clone();
        let joined = self.dice.roll(3);
        for place in 0..1 + self.dice.roll(3) {
            let (item, kind) = self.aggregate(&scope, place == joined);
            items.push(item);
            kinds.push(kind);
        }
        let clause = self.r#where(&scope, outer, conditions);
        let group = if keys == 0 {
            Tree::text("")
        } else {
            match self.dice.roll(12) {
                0 if columns => Tree::fill(" GROUP BY ROLLUP ({})", [Tree::list("", ", ", 1, by)]),
                1 if columns => Tree::fill(" GROUP BY CUBE ({})", [Tree::list("", ", ", 1, by)]),
                2 if columns => Tree::fill(" GROUP BY GROUPING SETS (({}), ())", [Tree::list("", ", ", 1, by)]),
                3..=6 => Tree::text(format!(" GROUP BY {}", (1..=keys).map(|place| place.to_string()).collect::<Vec<_>>().join(", "))),
                _ => Tree::list(" GROUP BY ", ", ", 0, by),
            }
        };
        let having = if self.dice.chance(20) { vec![self.having(&scope)] } else { Vec::new() };
        let tree = Tree::row(vec![Tree::text("SELECT "), selected(items), from, clause, group, Tree::list(" HAVING ", " AND ", 0, having)]);
        Select { tree, kinds }
    }

    fn having(&mut self, scope: &[Relation]) -> Tree {
        let kind = *self.dice.pick(&[Kind::Int, Kind::Text, Kind::Numeric, Kind::Date]);
        let value = self.value(scope, kind, 1);
        match self.dice.roll(3) {
            0 => Tree::text(self.dice.word(&["count(*) > 1", "count(*) < 3", "count(*) = 1"])),
            1 => Tree::fill("count({}) > 1", [value]),
            _ => {
                let aggregate = Tree::fill(self.dice.word(&["min({})", "max({})"]), [value]);
                let literal = self.literal(kind);
                self.compare(aggregate, literal)
            }
        }
    }

    /// Texts are put together in one place only: two such aggregates with orders of their own are refused here.
    fn aggregate(&mut self, scope: &[Relation], joins_texts: bool) -> (Tree, Kind) {
        let kind = self.kind(scope);
        let (call, kind) = match self.dice.roll(12) {
            0 | 1 => (Tree::text("count(*)"), Kind::Int),
            2 => (Tree::fill("count({})", [self.value(scope, kind, 1)]), Kind::Int),
            3 => (Tree::fill("count(DISTINCT {})", [self.key(scope, kind, 1)]), Kind::Int),
            4 => (Tree::fill("sum({})", [self.value(scope, Kind::Int, 1)]), Kind::Numeric),
            5 => (Tree::fill(self.dice.word(&["sum({})", "sum(DISTINCT {})"]), [self.value(scope, Kind::Numeric, 1)]), Kind::Numeric),
            6 => (Tree::fill("round(avg({}), 2)", [self.plain(scope, Kind::Numeric)]), Kind::Numeric),
            7 => (Tree::fill("floor(avg({} % 1000) * 4)", [self.value(scope, Kind::Int, 1)]), Kind::Numeric),
            8 => (Tree::fill(self.dice.word(&["bool_or({})", "bool_and({})"]), [self.predicate(scope, 1)]), Kind::Bool),
            9 if joins_texts => {
                let text = self.value(scope, Kind::Text, 1);
                (Tree::fill("string_agg({}, ',' ORDER BY {})", [text.clone(), text]), Kind::Text)
            }
            _ => {
                let kind = if matches!(kind, Kind::Bool | Kind::Bytes | Kind::Uuid | Kind::Float) { Kind::Text } else { kind };
                (Tree::fill(self.dice.word(&["min({})", "max({})"]), [self.value(scope, kind, 1)]), kind)
            }
        };
        let rounded = kind == Kind::Numeric;
        let tree =
            if !rounded && self.dice.chance(15) { Tree::fill("{} FILTER (WHERE {})", [call, self.predicate(scope, 1)]) } else { call };
        (tree.of(kind), kind)
    }

    fn windowed(&mut self) -> Select {
        let count = 1 + self.dice.roll(2);
        let (from, scope, conditions) = self.of_tables(count);
        let mut kinds: Vec<_> = (0..1 + self.dice.roll(2)).map(|_| self.kind(&scope)).collect();
        let mut items: Vec<_> = kinds.iter().map(|kind| self.key(&scope, *kind, 1)).collect();
        let ids: Vec<_> =
            scope.iter().filter(|relation| !relation.alias.is_empty()).map(|relation| format!("{}.id", relation.alias)).collect();
        for _ in 0..1 + self.dice.roll(2) {
            let (partition_kind, order_kind, kind) = (self.kind(&scope), self.kind(&scope), self.kind(&scope));
            let partition = Tree::fill("PARTITION BY {} ", [self.key(&scope, partition_kind, 0)]);
            let partition = Tree::list("", "", 0, if self.dice.chance(60) { vec![partition] } else { Vec::new() });
            let direction = self.direction();
            let key = self.key(&scope, order_kind, 0);
            let value = self.key(&scope, kind, 0);
            let frame = self.dice.word(&FRAMES);
            let (call, kind, frame, aggregates) = match self.dice.roll(8) {
                0 => (Tree::text("row_number()"), Kind::Int, "", false),
                1 => (Tree::text(self.dice.word(&["rank()", "dense_rank()"])), Kind::Int, "", false),
                2 => (Tree::fill(self.dice.word(&["lag({})", "lead({})", "lag({}, 2)"]), [value]), kind, "", false),
                3 => (Tree::fill(self.dice.word(&["first_value({})", "last_value({})"]), [value]), kind, frame, false),
                4 => (Tree::fill("count({})", [value]), Kind::Int, frame, true),
                5 => (Tree::fill("sum({} % 1000)", [self.plain(&scope, Kind::Int)]), Kind::Int, frame, true),
                6 => (Tree::fill(self.dice.word(&["min({})", "max({})"]), [self.plain(&scope, Kind::Text)]), Kind::Text, frame, true),
                _ => (Tree::text("ntile(3)"), Kind::Int, "", false),
            };
            // Rows that tie may only be in any order where all of them are in the frame, or none.
            let may_tie = aggregates && !frame.contains("ROWS");
            let ids = if may_tie && self.dice.chance(60) { String::new() } else { format!(", {}", ids.join(", ")) };
            let order = Tree::fill(&format!("ORDER BY {{}}{direction}{ids}"), [key]);
            items.push(Tree::fill(&format!("{{}} OVER ({{}}{{}}{frame})"), [call, partition, order]).of(kind));
            kinds.push(kind);
        }
        let clause = self.r#where(&scope, &[], conditions);
        Select { tree: Tree::row(vec![Tree::text("SELECT "), selected(items), from, clause]), kinds }
    }

    /// The conditions of a WHERE, subqueries among them.
    fn r#where(&mut self, scope: &[Relation], outer: &[Relation], mut conditions: Vec<Tree>) -> Tree {
        if self.dice.chance(60) {
            conditions.push(self.predicate(scope, 2));
        }
        if !outer.is_empty() {
            let relation = self.dice.pick(scope).clone();
            conditions.push(self.link(outer, &relation));
        }
        if self.subqueries > 0 && self.dice.chance(30) {
            self.subqueries -= 1;
            let subquery = self.subquery(scope);
            conditions.push(if self.dice.chance(25) { self.embedded(subquery, scope) } else { subquery });
        }
        Tree::list(" WHERE ", " AND ", 0, conditions)
    }

    /// A condition as part of another one.
    fn embedded(&mut self, condition: Tree, scope: &[Relation]) -> Tree {
        let other = self.predicate(scope, 1);
        let template = ["({} OR {})", "(NOT ({} AND {}))", "(({} AND {}) IS NOT TRUE)", "(NOT ({} OR {}))", "CASE WHEN {} THEN {} END"];
        Tree::fill(self.dice.word(&template), [condition, other]).of(Kind::Bool)
    }

    fn subquery(&mut self, scope: &[Relation]) -> Tree {
        match self.dice.roll(8) {
            0..=2 => {
                let select = self.any_select(scope, Some(&[Kind::Int]));
                Tree::fill(self.dice.word(&["EXISTS ({})", "EXISTS ({})", "NOT EXISTS ({})"]), [select.tree])
            }
            3..=5 => {
                let kind = self.kind(scope);
                let value = self.key(scope, kind, 0);
                let outer = if self.dice.chance(15) { scope } else { &[] };
                let select = self.any_select(outer, Some(&[kind]));
                Tree::fill(self.dice.word(&["{} IN ({})", "{} IN ({})", "{} NOT IN ({})"]), [value, select.tree])
            }
            _ => {
                let (relation, text) = self.table();
                let kind = *self.dice.pick(&[Kind::Int, Kind::Int, Kind::Text, Kind::Date, Kind::Numeric]);
                let inner = std::slice::from_ref(&relation);
                let link = if self.dice.chance(50) { self.link(scope, &relation) } else { self.predicate(inner, 1) };
                let aggregate = Tree::fill(self.dice.word(&["min({})", "max({})"]), [self.value(inner, kind, 0)]);
                let subquery = Tree::fill(&format!("(SELECT {{}} FROM {text} WHERE {{}})"), [aggregate, link]);
                let value = self.value(scope, kind, 1);
                self.compare(value, subquery)
            }
        }
        .of(Kind::Bool)
    }

    /// A condition that a row of `relation` belongs to one outside.
    fn link(&mut self, outer: &[Relation], relation: &Relation) -> Tree {
        let inner = std::slice::from_ref(relation);
        for _ in 0..5 {
            let kind = self.kind(inner);
            if let (Some(left), Some(right)) = (self.column(outer, kind), self.column(inner, kind)) {
                return Tree::fill("{} = {}", [right, left]).of(Kind::Bool);
            }
        }
        Tree::text("true").of(Kind::Bool)
    }

    fn from(&mut self) -> (Tree, Vec<Relation>, Vec<Tree>) {
        let count = *self.dice.pick(&[1, 1, 1, 1, 2, 2, 2, 3]);
        self.joined(count, Self::relation)
    }

    fn of_tables(&mut self, count: usize) -> (Tree, Vec<Relation>, Vec<Tree>) {
        self.joined(count, |writer| {
            let (relation, text) = writer.table();
            (relation, Tree::text(text))
        })
    }

    /// Joined relations, and conditions for WHERE.
    fn joined(&mut self, count: usize, mut relation: impl FnMut(&mut Self) -> (Relation, Tree)) -> (Tree, Vec<Relation>, Vec<Tree>) {
        let (first, text) = relation(self);
        let (mut scope, mut parts, mut conditions) = (vec![first], vec![Tree::text(" FROM "), text], Vec::new());
        for number in 1..count {
            let (next, text) = relation(self);
            let join = self.dice.word(&["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ","]);
            if count == 2
                && self.dice.chance(12)
                && let Some(shared) = self.shared(&scope[0], &next)
            {
                let join = self.dice.word(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
                parts.push(Tree::fill(&format!(" {join} {{}} USING ({})", shared.0), [text]));
                scope.extend([next, Relation { alias: String::new(), columns: vec![shared] }]);
                break;
            }
            match join {
                "," | "CROSS JOIN" => {
                    conditions.push(self.link(&scope, &next));
                    // A comma binds less tightly than JOIN, so that a condition behind it could not name what is before it.
                    let template = if number + 1 == count { ", {}" } else { " CROSS JOIN {}" };
                    parts.push(Tree::fill(template, [text]));
                }
                _ => {
                    let mut on = vec![self.link(&scope, &next)];
                    scope.push(next.clone());
                    if join != "FULL JOIN" && self.dice.chance(20) {
                        on.push(self.predicate(&scope, 1));
                    }
                    scope.pop();
                    parts.push(Tree::fill(&format!(" {join} {{}} ON {{}}"), [text, Tree::list("", " AND ", 1, on)]));
                }
            }
            scope.push(next);
        }
        (Tree::list("", "", 2, parts), scope, conditions)
    }

    /// A column that both have under one name.
    fn shared(&mut self, left: &Relation, right: &Relation) -> Option<(String, Kind)> {
        let shared: Vec<_> = left.columns.iter().filter(|column| right.columns.contains(column)).cloned().collect();
        (!shared.is_empty()).then(|| self.dice.pick(&shared).clone())
    }

    fn relation(&mut self) -> (Relation, Tree) {
        if !self.defined.is_empty() && self.dice.chance(60) {
            let defined = self.dice.pick(&self.defined).clone();
            let alias = self.alias();
            let text = format!("{} {alias}", defined.alias);
            return (Relation { alias, ..defined }, Tree::text(text));
        }
        if self.subqueries > 0 && self.dice.chance(18) {
            self.subqueries -= 1;
            let select = self.any_select(&[], None);
            let alias = self.alias();
            let mut parts = vec![select.tree];
            if self.dice.chance(30) {
                let order = self.order_by(select.kinds.len());
                parts.push(Tree::list("", "", 0, vec![Tree::row(vec![order, self.limit()])]));
            }
            let tree = Tree::fill(&format!("({{}}) {alias}"), [Tree::row(parts)]);
            return (Relation { alias, columns: named(&select.kinds) }, tree);
        }
        let (relation, text) = self.table();
        (relation, Tree::text(text))
    }

    fn table(&mut self) -> (Relation, String) {
        let tables = self.tables;
        let table = self.dice.pick(tables);
        let place = *self.dice.pick(&table.places);
        let alias = self.alias();
        let text = format!("{}.{} {alias}", place.schema(), table.name);
        let columns = table.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
        (Relation { alias, columns }, text)
    }
}

fn named(kinds: &[Kind]) -> Vec<(String, Kind)> {
    kinds.iter().enumerate().map(|(index, kind)| (format!("c{}", index + 1), *kind)).collect()
}

/// The items of a SELECT, with names.
fn selected(items: Vec<Tree>) -> Tree {
    let name = |(index, item): (usize, Tree)| Tree::fill(&format!("{{}} AS c{}", index + 1), [item]);
    Tree::list("", ", ", 1, items.into_iter().enumerate().map(name).collect())
}
