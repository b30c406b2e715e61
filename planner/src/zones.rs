//! Instants are shown, cut and taken apart in the time zone of the session.
//!
//! Sources give instants with the zone UTC, and DataFusion computes with an instant in the zone that its type has: the hour of a column
//! was one of UTC, and the hour of a literal one of the session. So where the zone matters an instant of another zone gets the session's
//! first, which changes nothing of the instant; and what is no instant becomes one in the session's zone where the two meet. Sources
//! are asked for no such thing, as they do not know the session.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::functions::datetime::to_local_time;
use datafusion::logical_expr::expr::{Cast, InList};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, cast};

use crate::meeting::is_of_one_type;

/// Functions for which an instant is a day and an hour.
const OF_THE_DAY: [&str; 4] = ["date_trunc", "date_part", "date_bin", "to_date"];

/// Names of the zone that sources give instants in.
const UTC: [&str; 8] = ["utc", "+00:00", "+00", "z", "gmt", "etc/utc", "zulu", "universal"];

/// A session's time zone, if it is another than that of the sources.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    name: Arc<str>,
    is_utc: bool,
}

impl Zone {
    pub(crate) fn of(config: &ConfigOptions) -> Self {
        let name = config.execution.time_zone.as_deref().unwrap_or("+00:00");
        Self { name: name.into(), is_utc: UTC.contains(&name.to_ascii_lowercase().as_str()) }
    }

    /// As the session calls it.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it is that of the sources.
    pub(crate) fn is_utc(&self) -> bool {
        self.is_utc
    }

    /// `expr`, in this zone where that matters.
    pub(crate) fn applied(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let expr = match expr {
            Expr::Cast(Cast { expr, field }) => {
                let Some(unit) = instant(&expr, schema) else { return Ok(Transformed::no(Expr::Cast(Cast { expr, field }))) };
                return Ok(match field.data_type() {
                    DataType::Timestamp(_, None) => {
                        let local = to_local_time().call(vec![self.here(*expr, schema)]);
                        Transformed::yes(if *field.data_type() == DataType::Timestamp(unit, None) {
                            local
                        } else {
                            Expr::Cast(Cast { expr: Box::new(local), field })
                        })
                    }
                    DataType::Date32 | DataType::Time64(_) | DataType::Utf8 if !self.is_utc => {
                        let here = Box::new(self.here(*expr, schema));
                        Transformed::yes(Expr::Cast(Cast { expr: here, field }))
                    }
                    _ => Transformed::no(Expr::Cast(Cast { expr, field })),
                });
            }
            other if self.is_utc => return Ok(Transformed::no(other)),
            other => other,
        };
        Ok(match expr {
            Expr::ScalarFunction(mut function) if OF_THE_DAY.contains(&function.name()) => {
                function.args = function.args.into_iter().map(|argument| self.here(argument, schema)).collect();
                Transformed::yes(Expr::ScalarFunction(function))
            }
            Expr::ScalarFunction(mut function) if is_of_one_type(function.name()) => {
                let is_changed = self.meet(&mut function.args, schema);
                transformed(Expr::ScalarFunction(function), is_changed)
            }
            Expr::BinaryExpr(mut binary)
                if matches!(binary.op, Operator::Plus | Operator::Minus) && moves(&binary.left, &binary.right, schema) =>
            {
                binary.left = Box::new(self.here(*binary.left, schema));
                binary.right = Box::new(self.here(*binary.right, schema));
                Transformed::yes(Expr::BinaryExpr(binary))
            }
            Expr::BinaryExpr(mut binary) => {
                let is_changed = self.meet([binary.left.as_mut(), binary.right.as_mut()], schema);
                transformed(Expr::BinaryExpr(binary), is_changed)
            }
            Expr::Between(mut between) => {
                let is_changed = self.meet([between.expr.as_mut(), between.low.as_mut(), between.high.as_mut()], schema);
                transformed(Expr::Between(between), is_changed)
            }
            Expr::InList(InList { mut expr, mut list, negated }) => {
                let is_changed = self.meet(std::iter::once(expr.as_mut()).chain(&mut list), schema);
                transformed(Expr::InList(InList { expr, list, negated }), is_changed)
            }
            Expr::Case(mut case) => {
                let subject = case.expr.as_deref_mut().into_iter();
                let is_changed = self.meet(subject.chain(case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut())), schema);
                let otherwise = case.else_expr.as_deref_mut().into_iter();
                let results = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut()).chain(otherwise);
                let is_changed = self.meet(results, schema) | is_changed;
                transformed(Expr::Case(case), is_changed)
            }
            other => Transformed::no(other),
        })
    }

    /// Makes instants of what stands beside one and is none. Whether there was any.
    fn meet<'a>(&self, sides: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
        let sides: Vec<_> = sides.into_iter().collect();
        if !sides.iter().any(|side| instant(side, schema).is_some()) {
            return false;
        }
        let mut is_changed = false;
        for side in sides {
            if matches!(side.get_type(schema), Ok(DataType::Date32 | DataType::Timestamp(_, None))) {
                let local = cast(std::mem::take(side), DataType::Timestamp(TimeUnit::Microsecond, None));
                *side = cast(local, DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&self.name))));
                is_changed = true;
            }
        }
        is_changed
    }

    /// An instant in this zone; anything else as it is.
    fn here(&self, expr: Expr, schema: &DFSchema) -> Expr {
        match expr.get_type(schema) {
            Ok(DataType::Timestamp(unit, Some(zone))) if zone != self.name => {
                cast(expr, DataType::Timestamp(unit, Some(Arc::clone(&self.name))))
            }
            _ => expr,
        }
    }
}

/// The unit of an instant; `None` of anything else.
fn instant(expr: &Expr, schema: &DFSchema) -> Option<TimeUnit> {
    match expr.get_type(schema) {
        Ok(DataType::Timestamp(unit, Some(_))) => Some(unit),
        _ => None,
    }
}

/// Whether one is an instant and the other an interval.
fn moves(one: &Expr, other: &Expr, schema: &DFSchema) -> bool {
    let is_interval = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Interval(_)));
    (instant(one, schema).is_some() && is_interval(other)) || (is_interval(one) && instant(other, schema).is_some())
}

fn transformed(expr: Expr, is_changed: bool) -> Transformed<Expr> {
    if is_changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}
