//! Windows that are made of named ones: `OVER (w ORDER BY a)`, `WINDOW v AS (w ORDER BY a)`.
//!
//! The planner below us takes such a window for one of its own, without what `w` says.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, NamedWindowExpr, OrderByKind, Query, Select, SetExpr, VisitMut, VisitorMut, WindowSpec, WindowType,
};

/// Writes out what the query's windows have of named ones. A name that is none stays alone, and is told as unknown.
pub(super) fn written_out(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let mut inherit = Inherit(definitions(select));
    for item in &mut select.projection {
        let ControlFlow::Continue(()) = item.visit(&mut inherit);
    }
    if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) {
        for key in keys {
            let ControlFlow::Continue(()) = key.visit(&mut inherit);
        }
    }
}

/// The select's windows, each with what it has of those before it.
fn definitions(select: &mut Select) -> BTreeMap<String, WindowSpec> {
    let mut known: BTreeMap<String, WindowSpec> = BTreeMap::new();
    for definition in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &mut definition.1
            && let Some(base) = spec.window_name.as_ref().and_then(|name| known.get(&name.value)).cloned()
        {
            extend(spec, base);
        }
        let spec = match &definition.1 {
            NamedWindowExpr::WindowSpec(spec) => Some(spec.clone()),
            NamedWindowExpr::NamedWindow(name) => known.get(&name.value).cloned(),
        };
        if let Some(spec) = spec {
            known.insert(definition.0.value.clone(), spec);
        }
    }
    known
}

/// A window with the partitions of the one it is made of, and with its order if it has one.
fn extend(spec: &mut WindowSpec, base: WindowSpec) {
    spec.window_name = None;
    spec.partition_by = base.partition_by;
    if !base.order_by.is_empty() {
        spec.order_by = base.order_by;
    }
}

struct Inherit(BTreeMap<String, WindowSpec>);

impl VisitorMut for Inherit {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let Some(WindowType::WindowSpec(spec)) = &mut function.over else { return ControlFlow::Continue(()) };
        if let Some(name) = spec.window_name.clone() {
            match self.0.get(&name.value) {
                Some(base) => extend(spec, base.clone()),
                None => function.over = Some(WindowType::NamedWindow(name)),
            }
        }
        ControlFlow::Continue(())
    }
}
