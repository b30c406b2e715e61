//! Functions whose result may be far larger than their arguments.
//!
//! Operators account for their memory, functions do not: `repeat('x', 2000000000)` would be made, whatever `limits.memory` is. So the
//! size of such a result is told from the arguments, and refused before it is made when it is too much.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, IntervalMonthDayNanoType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{ExprSchema, cast::as_int64_array};
use datafusion::error::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    StructFieldMapping,
};
use datafusion::scalar::ScalarValue;

use crate::error::{Error, ErrorKind};

/// Which part of `limits.memory` one value may take.
const VALUE_SHARE: u64 = 32;

/// Which part of `limits.memory` the values of one batch may take.
const BATCH_SHARE: u64 = 8;

/// PostgreSQL's own limit of a value.
const LARGEST_VALUE: u64 = 1 << 30;

/// The functions by name, and how their results grow.
const GROWING: [(&str, Growth); 13] = [
    ("repeat", Growth::Repeat),
    ("lpad", Growth::Pad),
    ("rpad", Growth::Pad),
    ("replace", Growth::Replace),
    ("regexp_replace", Growth::ReplaceMatches),
    ("levenshtein", Growth::Distance),
    ("array_replace", Growth::ReplaceElements),
    ("array_replace_all", Growth::ReplaceElements),
    ("array_repeat", Growth::ArrayRepeat),
    ("array_resize", Growth::ArrayResize),
    ("array_to_string", Growth::Join),
    ("range", Growth::Series),
    ("generate_series", Growth::Series),
];

/// The bounded form of each function among those that `known` gives by name.
pub(crate) fn bounded(memory: usize, known: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let limits = Limits::of(memory);
    let around = |(name, growth): &(&str, Growth)| {
        let inner = known(name)?;
        Some(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, growth: *growth, limits })))
    };
    GROWING.iter().filter_map(around).collect()
}

/// Bytes that results may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    value: u64,
    batch: u64,
}

impl Limits {
    /// Those that go with so many bytes of `limits.memory`.
    pub(crate) fn of(memory: usize) -> Self {
        let memory = u64::try_from(memory).unwrap_or(u64::MAX);
        Self { value: (memory / VALUE_SHARE).min(LARGEST_VALUE), batch: memory / BATCH_SHARE }
    }

    /// Counts the values of a batch that a function gives.
    pub(crate) fn tally(self, function: &str) -> Tally<'_> {
        Tally { function, limits: self, total: 0 }
    }
}

/// What the values of a batch take so far.
pub(crate) struct Tally<'a> {
    function: &'a str,
    limits: Limits,
    total: u64,
}

impl Tally<'_> {
    /// Counts a value.
    ///
    /// # Errors
    /// When it is too large, or all of them together are.
    pub(crate) fn add(&mut self, bytes: u64) -> Result<(), Error> {
        self.total = self.total.saturating_add(bytes);
        if bytes > self.limits.value {
            return Err(too_large("requested length too large", self.function, self.limits.value));
        }
        if self.total > self.limits.batch {
            return Err(too_large("requested lengths too large together", self.function, self.limits.batch));
        }
        Ok(())
    }
}

/// What the size of a result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// A text, so many times.
    Repeat,
    /// A text filled up to so many characters.
    Pad,
    /// A text with each occurrence of another replaced by a third.
    Replace,
    /// A text with what matches an expression replaced by another, which may have what was found in it.
    ReplaceMatches,
    /// A number, which takes the product of both lengths to find.
    Distance,
    /// An array with elements replaced by another.
    ReplaceElements,
    /// A value, so many times.
    ArrayRepeat,
    /// An array filled up to so many elements.
    ArrayResize,
    /// The elements of an array with a text between any two.
    Join,
    /// Values from, to, and by.
    Series,
}

impl Growth {
    /// The bytes of the result in `row`, or somewhat more.
    fn bytes(self, arguments: &[Operand], row: usize) -> Option<u64> {
        let argument = |at: usize| arguments.get(at);
        let count = |at: usize| Some(u64::try_from(argument(at)?.integer(row)?).unwrap_or(0));
        let text = |at: usize| argument(at).and_then(|argument| argument.text(row));
        match self {
            Growth::Repeat => Some(size(text(0)?).saturating_mul(count(1)?)),
            Growth::Pad => {
                let fill = text(2).unwrap_or(" ");
                let widest = if text(0)?.is_ascii() && fill.is_ascii() { 1 } else { 4 };
                Some(count(1)?.saturating_mul(widest))
            }
            Growth::Replace => {
                let (whole, from, to) = (text(0)?, text(1)?, text(2)?);
                let found = if from.is_empty() || to.len() <= from.len() { 0 } else { whole.matches(from).count() };
                Some(size(whole).saturating_add((found as u64).saturating_mul(size(to))))
            }
            Growth::ReplaceMatches => {
                let (whole, to) = (size(text(0)?), text(2)?);
                let matches = if text(3).is_some_and(|flags| flags.contains('g')) { whole.saturating_add(1) } else { 1 };
                let found = to.matches('\\').count() as u64;
                Some(whole.saturating_mul(found.saturating_add(1)).saturating_add(matches.saturating_mul(size(to))))
            }
            Growth::Distance => Some(size(text(0)?).saturating_mul(size(text(1)?))),
            Growth::ReplaceElements => {
                Some(argument(0)?.cell(row).saturating_add(argument(0)?.elements(row)?.saturating_mul(argument(2)?.cell(row))))
            }
            Growth::ArrayRepeat => Some(argument(0)?.cell(row).saturating_mul(count(1)?)),
            Growth::ArrayResize => Some(argument(2).map_or(WORD, |filler| filler.cell(row)).saturating_mul(count(1)?)),
            Growth::Join => {
                let between = size(text(1)?).saturating_add(text(2).map_or(0, size));
                Some(argument(0)?.cell(row).saturating_add(argument(0)?.elements(row)?.saturating_mul(between)))
            }
            Growth::Series => {
                let (first, last) = if arguments.len() == 1 {
                    (0, argument(0)?.scaled(row)?)
                } else {
                    (argument(0)?.scaled(row)?, argument(1)?.scaled(row)?)
                };
                let step = argument(2).map_or(Some(1), |step| step.scaled(row))?.unsigned_abs().max(1);
                let elements = first.abs_diff(last) / step;
                Some(u64::try_from(elements).unwrap_or(u64::MAX).saturating_mul(WORD))
            }
        }
    }
}

/// Bytes of an element of a fixed width.
const WORD: u64 = 8;

fn size(text: &str) -> u64 {
    text.len() as u64
}

/// An argument, which may be one value for all rows.
struct Operand {
    values: ArrayRef,
    /// The values as integers, where they are.
    integers: Option<Int64Array>,
    /// Bytes of a value on average.
    average: u64,
}

impl Operand {
    fn of(value: &ColumnarValue) -> Result<Self> {
        let values = value.to_array(1)?;
        let integers = match values.data_type() {
            DataType::Date32 | DataType::Date64 => {
                Some(as_int64_array(&cast(&cast(&values, &DataType::Date64)?, &DataType::Int64)?)?.clone())
            }
            data_type if data_type.is_integer() || matches!(data_type, DataType::Timestamp(..)) => {
                Some(as_int64_array(&cast(&values, &DataType::Int64)?)?.clone())
            }
            _ => None,
        };
        let bytes = values.to_data().get_slice_memory_size().unwrap_or_default();
        let average = (bytes / values.len().max(1)) as u64;
        Ok(Self { values, integers, average })
    }

    /// Where the value of `row` is; `None` when it is NULL.
    fn at(&self, row: usize) -> Option<usize> {
        let at = if self.values.len() == 1 { 0 } else { row };
        self.values.is_valid(at).then_some(at)
    }

    fn integer(&self, row: usize) -> Option<i64> {
        let at = self.at(row)?;
        self.integers.as_ref().map(|integers| integers.value(at))
    }

    fn text(&self, row: usize) -> Option<&str> {
        let at = self.at(row)?;
        match self.values.data_type() {
            DataType::Utf8 => Some(self.values.as_string::<i32>().value(at)),
            DataType::LargeUtf8 => Some(self.values.as_string::<i64>().value(at)),
            DataType::Utf8View => Some(self.values.as_string_view().value(at)),
            _ => None,
        }
    }

    /// The bytes of a value that becomes an element.
    fn cell(&self, row: usize) -> u64 {
        self.text(row).map_or(self.average, size).max(WORD)
    }

    /// How many elements an array has, those of the arrays in it counted too.
    fn elements(&self, row: usize) -> Option<u64> {
        let row = self.at(row)?;
        let mut inner = self.values.as_list_opt::<i32>()?.value(row);
        let mut elements = inner.len();
        while let Some(lists) = inner.as_list_opt::<i32>() {
            let offsets = lists.value_offsets();
            let (first, last) = (*offsets.first()?, *offsets.last()?);
            let values = lists.values().slice(usize::try_from(first).ok()?, usize::try_from(last - first).ok()?);
            elements += values.len();
            inner = values;
        }
        u64::try_from(elements).ok()
    }

    /// A number, or an instant or interval in nanoseconds.
    fn scaled(&self, row: usize) -> Option<i128> {
        use datafusion::arrow::datatypes::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        const DAY: i128 = 86_400_000_000_000;
        if matches!(self.values.data_type(), DataType::Interval(_)) {
            let interval = self.values.as_primitive_opt::<IntervalMonthDayNanoType>()?.value(self.at(row)?);
            return Some((i128::from(interval.months) * 30 + i128::from(interval.days)) * DAY + i128::from(interval.nanoseconds));
        }
        let nanoseconds = match self.values.data_type() {
            DataType::Timestamp(Second, _) => 1_000_000_000,
            DataType::Timestamp(Millisecond, _) | DataType::Date32 | DataType::Date64 => 1_000_000,
            DataType::Timestamp(Microsecond, _) => 1_000,
            DataType::Timestamp(Nanosecond, _) => 1,
            _ => 1,
        };
        Some(i128::from(self.integer(row)?) * nanoseconds)
    }
}

/// A function that is asked for no more than its limits.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    limits: Limits,
}

impl Bounded {
    fn admit(&self, arguments: &[ColumnarValue], rows: usize) -> Result<()> {
        let constant = arguments.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let operands = arguments.iter().map(Operand::of).collect::<Result<Vec<_>>>()?;
        let mut tally = self.limits.tally(self.inner.name());
        for row in 0..if constant { 1 } else { rows } {
            tally.add(self.growth.bytes(&operands, row).unwrap_or(0))?;
        }
        Ok(())
    }
}

fn too_large(what: &str, function: &str, limit: u64) -> Error {
    let limit = if limit >= 1 << 20 { format!("{} MiB", limit >> 20) } else { format!("{limit} bytes") };
    Error::new(ErrorKind::LimitExceeded, format!("{what}: {function} would give more than {limit}"))
        .hint("Ask for shorter values or fewer rows, or raise limits.memory.")
}

#[deny(clippy::missing_trait_methods)]
impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    #[expect(deprecated, reason = "it is still a method of the trait")]
    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        self.inner.display_name(arguments)
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        self.inner.schema_name(arguments)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        Some(ScalarUDF::new_from_impl(Self { inner, growth: self.growth, limits: self.limits }))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    #[expect(deprecated, reason = "it is still a method of the trait")]
    fn is_nullable(&self, arguments: &[Expr], schema: &dyn ExprSchema) -> bool {
        self.inner.inner().is_nullable(arguments, schema)
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.admit(&arguments.args, arguments.number_rows)?;
        self.inner.invoke_with_args(arguments)
    }

    fn simplify(&self, arguments: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(arguments, info)
    }

    fn preimage(&self, arguments: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.inner().preimage(arguments, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, arguments: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.inner().conditional_arguments(arguments)
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.inner.inner().evaluate_bounds(input)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.inner.inner().propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.inner().preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.inner().strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.inner().struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, arguments: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.inner().placement(arguments)
    }
}
