//! PostgreSQL's functions about the catalog and the session.
//!
//! Nearly all are computed row by row from a [`Row`] of arguments; those over arrays of any type are in [`arrays`].
//! Functions whose names begin with `causeway_` are called by rewritten statements only.

mod arrays;
mod definitions;
mod names;
mod privileges;
mod session_facts;
mod texts;

use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use causeway_planner::{Error, ErrorKind};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::PgCatalog;
use super::columns::{ColumnBuilder, ColumnType, PG_TYPE_KEY, Value};
use super::session::Session;

/// All functions for a statement of `session`. Those that do not know the session are made once.
pub(super) fn functions(catalog: &Arc<PgCatalog>, session: &Arc<Session>) -> Vec<Arc<ScalarUDF>> {
    static CONSTANT: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let mut functions = Vec::new();
        privileges::add(&mut functions);
        texts::add(&mut functions);
        names::add_constant(&mut functions);
        definitions::add_constant(&mut functions);
        let mut all = finished(functions);
        arrays::add(&mut all);
        all
    });
    let mut functions = Vec::new();
    session_facts::add(session, &mut functions);
    names::add(catalog, session, &mut functions);
    definitions::add(catalog, &mut functions);
    let mut all = finished(functions);
    all.extend_from_slice(&CONSTANT);
    all
}

fn finished(functions: Vec<RowFunction>) -> Vec<Arc<ScalarUDF>> {
    functions.into_iter().map(|f| Arc::new(ScalarUDF::new_from_impl(f))).collect()
}

/// A failure with a text for the client.
fn failure(kind: ErrorKind, text: impl Into<String>) -> DataFusionError {
    Error::new(kind, text).into()
}

/// What a function gives for one row.
pub(super) enum Outcome {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    Texts(Vec<String>),
    Ints(Vec<i64>),
    Timestamp(i64),
}

impl From<bool> for Outcome {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Outcome {
    fn from(oid: u32) -> Self {
        Self::Int(i64::from(oid))
    }
}

impl From<i64> for Outcome {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Outcome {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Outcome {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Outcome>> From<Option<T>> for Outcome {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Outcome {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(v) => Value::Bool(*v),
            Self::Int(v) => Value::Int(*v),
            Self::Text(v) => Value::Text(v),
            Self::Texts(v) => Value::Texts(v),
            Self::Ints(v) => Value::Ints(v),
            Self::Timestamp(v) => Value::Timestamp(*v),
        }
    }
}

/// A column of arguments, in one of the few forms the functions read.
enum Argument {
    Nulls,
    Text(StringArray),
    Int(Int64Array),
    Bool(BooleanArray),
    List(ListArray),
}

impl Argument {
    fn new(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Null => Self::Nulls,
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::List(_) => {
                let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
                Self::List(cast(array, &texts)?.as_list().clone())
            }
            number if number.is_numeric() => Self::Int(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone()),
            _ => Self::Text(cast(array, &DataType::Utf8)?.as_string().clone()),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Nulls => true,
            Self::Text(a) => a.is_null(row),
            Self::Int(a) => a.is_null(row),
            Self::Bool(a) => a.is_null(row),
            Self::List(a) => a.is_null(row),
        }
    }
}

/// The arguments of one row.
pub(super) struct Row<'a> {
    arguments: &'a [Argument],
    row: usize,
}

impl Row<'_> {
    /// How many arguments there are.
    pub(super) fn count(&self) -> usize {
        self.arguments.len()
    }

    fn argument(&self, index: usize) -> Option<&Argument> {
        self.arguments.get(index).filter(|a| !a.is_null(self.row))
    }

    /// Argument `index` as text; `None` when it is NULL, absent or a list.
    pub(super) fn text(&self, index: usize) -> Option<String> {
        match self.argument(index)? {
            Argument::Text(a) => Some(a.value(self.row).to_owned()),
            Argument::Int(a) => Some(a.value(self.row).to_string()),
            Argument::Bool(a) => Some(if a.value(self.row) { "t" } else { "f" }.to_owned()),
            Argument::Nulls | Argument::List(_) => None,
        }
    }

    /// Argument `index` as a number; a text is read as one, as PostgreSQL reads an untyped literal.
    pub(super) fn int(&self, index: usize) -> Option<i64> {
        match self.argument(index)? {
            Argument::Int(a) => Some(a.value(self.row)),
            Argument::Text(a) => a.value(self.row).trim().parse().ok(),
            Argument::Bool(_) | Argument::Nulls | Argument::List(_) => None,
        }
    }

    /// Argument `index` as an oid.
    pub(super) fn oid(&self, index: usize) -> Option<u32> {
        u32::try_from(self.int(index)?).ok()
    }

    /// Argument `index` as a truth value.
    pub(super) fn bool(&self, index: usize) -> Option<bool> {
        match self.argument(index)? {
            Argument::Bool(a) => Some(a.value(self.row)),
            Argument::Text(a) => Some(matches!(a.value(self.row), "t" | "true" | "on" | "yes" | "1")),
            Argument::Int(a) => Some(a.value(self.row) != 0),
            Argument::Nulls | Argument::List(_) => None,
        }
    }

    /// Argument `index` as a list of texts.
    pub(super) fn texts(&self, index: usize) -> Option<Vec<String>> {
        match self.argument(index)? {
            Argument::List(a) => Some(a.value(self.row).as_string::<i32>().iter().flatten().map(str::to_owned).collect()),
            _ => None,
        }
    }
}

/// What a function gives when an argument is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnNull {
    /// NULL, without being called.
    Null,
    /// Whatever it makes of it.
    Call,
}

type Body = Arc<dyn Fn(&Row<'_>) -> Result<Outcome> + Send + Sync>;

/// A function computed row by row.
pub(super) struct RowFunction {
    name: &'static str,
    signature: Signature,
    returns: ColumnType,
    type_name: &'static str,
    on_null: OnNull,
    body: Body,
}

impl RowFunction {
    /// A function of a number of arguments within `arity`, that gives values of the PostgreSQL type `returns` and NULL for a NULL.
    pub(super) fn new(
        name: &'static str,
        arity: RangeInclusive<usize>,
        returns: &'static str,
        body: impl Fn(&Row<'_>) -> Result<Outcome> + Send + Sync + 'static,
    ) -> Self {
        let alternatives = arity.map(|n| if n == 0 { TypeSignature::Nullary } else { TypeSignature::Any(n) }).collect();
        Self {
            name,
            signature: Signature::one_of(alternatives, Volatility::Stable),
            returns: ColumnType::of(returns),
            type_name: returns,
            on_null: OnNull::Null,
            body: Arc::new(body),
        }
    }

    /// Is called with NULLs too.
    pub(super) fn called_with_nulls(mut self) -> Self {
        self.on_null = OnNull::Call;
        self
    }

    /// Takes any number of arguments.
    pub(super) fn variadic(mut self) -> Self {
        self.signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        self
    }

    /// Does something when it is called, and so must be called once per row.
    pub(super) fn volatile(mut self) -> Self {
        self.signature.volatility = Volatility::Volatile;
        self
    }
}

impl std::fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

// Two functions are one only when they are computed by the same closure: those of two sessions never are.
impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.returns.data_type())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(self.name, self.returns.data_type(), true);
        Ok(Arc::new(field.with_metadata([(PG_TYPE_KEY.to_owned(), self.type_name.to_owned())].into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_))) && self.signature.volatility != Volatility::Volatile;
        let rows = if constant { 1 } else { args.number_rows };
        let arguments = args.args.iter().map(|a| Argument::new(&a.to_array(rows)?)).collect::<Result<Vec<_>>>()?;
        let mut column = ColumnBuilder::new(self.returns);
        for row in 0..rows {
            let missing = self.on_null == OnNull::Null && arguments.iter().any(|a| a.is_null(row));
            let outcome = if missing { Outcome::Null } else { (self.body)(&Row { arguments: &arguments, row })? };
            column.push(outcome.value())?;
        }
        let array = column.finish();
        if array.data_type() != args.return_field.data_type() {
            return internal_err!("{} gave {} for {}", self.name, array.data_type(), args.return_field.data_type());
        }
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?) } else { ColumnarValue::Array(array) })
    }
}
