//! The columns that a select's relations show together, and what each of them is.

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::super::syntax::{exact, folded, parts};
use super::{Columns, Stop};
use crate::column_names::named;

/// A relation of a select.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// What its columns are qualified with; empty where they cannot be.
    pub(super) qualifier: Vec<Ident>,
    pub(super) columns: Columns,
    /// Those that are shown as part of a shared column.
    pub(super) hidden: Vec<String>,
}

impl Relation {
    /// How many columns of that name it shows: a query may have two.
    fn shows(&self, name: &str) -> usize {
        if self.is_hidden(name) { 0 } else { self.has(name) }
    }

    fn has(&self, name: &str) -> usize {
        self.columns.iter().flatten().filter(|column| *column == name).count()
    }

    fn is_hidden(&self, name: &str) -> bool {
        self.hidden.iter().any(|hidden| hidden == name)
    }

    /// The names of the columns that are its own to show.
    fn rest(&self) -> Columns {
        self.columns.as_ref().map(|columns| columns.iter().filter(|column| !self.is_hidden(column)).cloned().collect())
    }
}

/// What is shown, in the order of `*`.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// A shared column.
    Shared { name: String, value: Box<Expr> },
    /// The other columns of the relation at this place.
    Rest(usize),
}

/// What names of columns mean at some place.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) relations: Vec<Relation>,
    pub(super) shown: Vec<Shown>,
}

impl Scope {
    /// Whether a column is shared.
    pub(super) fn merges(&self) -> bool {
        self.shown.iter().any(|shown| matches!(shown, Shown::Shared { .. }))
    }

    /// Whether it may have columns that are not known.
    pub(super) fn is_open(&self) -> bool {
        self.shown.iter().any(|shown| matches!(shown, Shown::Rest(at) if self.relations[*at].columns.is_none()))
    }

    /// The places where columns of that name are shown.
    pub(super) fn places(&self, shown: &[Shown], name: &str) -> Vec<usize> {
        let times = |shown: &Shown| match shown {
            Shown::Shared { name: shared, .. } => usize::from(shared == name),
            Shown::Rest(at) => self.relations[*at].shows(name),
        };
        shown.iter().enumerate().flat_map(|(at, shown)| std::iter::repeat_n(at, times(shown))).collect()
    }

    /// Whether it has a column of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.places(&self.shown, name).is_empty()
    }

    /// The names of all that `shown` shows.
    pub(super) fn columns(&self, shown: &[Shown]) -> Columns {
        let mut columns = Vec::new();
        for shown in shown {
            match shown {
                Shown::Shared { name, .. } => columns.push(name.clone()),
                Shown::Rest(at) => columns.extend(self.relations[*at].rest()?),
            }
        }
        Some(columns)
    }

    /// The names of the columns that the items of a select are.
    pub(super) fn columns_of(&self, items: &[SelectItem]) -> Columns {
        let mut columns = Vec::new();
        for item in items {
            match item {
                SelectItem::Wildcard(options) if is_plain(options) => columns.extend(self.columns(&self.shown)?),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) if is_plain(options) => {
                    columns.extend(self.relation(name)?.columns.clone()?);
                }
                other => columns.push(named(other)?),
            }
        }
        Some(columns)
    }

    /// The relation that is meant by what stands before `.*`.
    fn relation(&self, name: &ObjectName) -> Option<&Relation> {
        let name = parts(name);
        let ends =
            |relation: &Relation| relation.qualifier.iter().rev().map(folded).zip(name.iter().rev()).all(|(one, other)| one == *other);
        self.relations.iter().find(|relation| !relation.qualifier.is_empty() && ends(relation))
    }

    /// What is sorted by that is sorted by `name`, if `item` is, or has, a column of that name.
    pub(super) fn sorted_by(&self, item: &SelectItem, name: &str) -> Option<Sorted> {
        match item {
            SelectItem::UnnamedExpr(expr) if named(item).as_deref() == Some(name) => Some(Sorted::Column(Box::new(expr.clone()))),
            SelectItem::ExprWithAlias { expr, .. } if named(item).as_deref() == Some(name) => Some(match expr {
                Expr::CompoundIdentifier(_) => Sorted::Column(Box::new(expr.clone())),
                _ => Sorted::Item,
            }),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(relation), options) => {
                let relation = self.relation(relation)?;
                let is_there = if is_plain(options) { relation.has(name) } else { relation.shows(name) } > 0;
                let column = || Expr::CompoundIdentifier(relation.qualifier.iter().cloned().chain([exact(name)]).collect());
                is_there.then(|| Sorted::Column(Box::new(column())))
            }
            _ => None,
        }
    }

    /// The items of a select, with what `*` stands for: columns that are shared once, the others by their relations.
    pub(super) fn items(&self, items: Vec<SelectItem>) -> Result<Vec<SelectItem>, Stop> {
        let mut written = Vec::new();
        for item in items {
            match item {
                SelectItem::Wildcard(options) if is_plain(&options) => {
                    for shown in &self.shown {
                        written.extend(self.item(shown)?);
                    }
                }
                SelectItem::Wildcard(_) => return Err(Stop::unsupported("where * leaves out columns")),
                // It keeps its name.
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                    let alias = Ident { value: folded(&name), quote_style: Some('"'), ..name.clone() };
                    match self.value(&alias.value)? {
                        Some(expr) => written.push(SelectItem::ExprWithAlias { expr: expr.clone(), alias }),
                        None => written.push(SelectItem::UnnamedExpr(Expr::Identifier(name))),
                    }
                }
                other => written.push(other),
            }
        }
        Ok(told_apart(written))
    }

    fn item(&self, shown: &Shown) -> Result<Option<SelectItem>, Stop> {
        let at = match shown {
            Shown::Shared { name, value } => {
                return Ok(Some(SelectItem::ExprWithAlias { expr: value.as_ref().clone(), alias: exact(name) }));
            }
            Shown::Rest(at) => *at,
        };
        let relation = &self.relations[at];
        if relation.rest().is_some_and(|rest| rest.is_empty()) {
            return Ok(None);
        }
        if relation.qualifier.is_empty() {
            return Err(Stop::unsupported("where * shows a relation without a name"));
        }
        let hidden: Vec<_> = relation.hidden.iter().map(|name| ObjectName::from(vec![exact(name)])).collect();
        let opt_exclude = (!hidden.is_empty()).then_some(ExcludeSelectItem::Multiple(hidden));
        let kind = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(relation.qualifier.clone()));
        Ok(Some(SelectItem::QualifiedWildcard(kind, WildcardAdditionalOptions { opt_exclude, ..WildcardAdditionalOptions::default() })))
    }

    /// What the name of a shared column means; `None` if it is that of another column, or of none.
    pub(super) fn value(&self, name: &str) -> Result<Option<&Expr>, Stop> {
        match self.places(&self.shown, name).as_slice() {
            [] => Ok(None),
            [at] => match &self.shown[*at] {
                Shown::Shared { value, .. } => Ok(Some(value)),
                Shown::Rest(_) => Ok(None),
            },
            _ => Err(Stop::ambiguous(name)),
        }
    }
}

/// What a name stands for that is sorted by.
pub(super) enum Sorted {
    /// A column of a relation, or what is computed of some.
    Column(Box<Expr>),
    /// An item, which has the name.
    Item,
}

fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions { wildcard_token: _, opt_ilike, opt_exclude, opt_except, opt_replace, opt_rename, opt_alias } = options;
    opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none()
}

/// Gives items that the planner below us would mistake for one before them a name of their own: the same column, and a column of a
/// relation beside one of none that is named alike.
fn told_apart(mut items: Vec<SelectItem>) -> Vec<SelectItem> {
    let mut before: Vec<(String, Option<Vec<String>>)> = Vec::new();
    for (at, item) in items.iter_mut().enumerate() {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = &*item else { continue };
        let column = match expr {
            Expr::CompoundIdentifier(parts) => Some(parts.iter().map(folded).collect::<Vec<_>>()),
            _ => None,
        };
        let name = match &*item {
            SelectItem::ExprWithAlias { alias, .. } => folded(alias),
            _ => match column.as_ref().and_then(|parts| parts.last()) {
                Some(last) => last.clone(),
                None => continue,
            },
        };
        let column = column.filter(|parts| parts.last() == Some(&name));
        let is_mistaken =
            |(other, known): &(String, Option<Vec<String>>)| *other == name && (column.is_none() || known.is_none() || *known == column);
        if before.iter().any(is_mistaken) {
            let alias = exact(format!("{name}:{}", at + 1));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
        before.push((name, column));
    }
    items
}
