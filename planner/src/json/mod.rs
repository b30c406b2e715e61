//! Casts to `json` and `jsonb`: clients are told the type, and what is no JSON is refused. The text of a `json` stays as it is, that of
//! a `jsonb` becomes the one that PostgreSQL writes.

pub(crate) mod comparison;
mod cursor;
mod document;
mod number;

use std::sync::Arc;

use causeway_providers::{PRESENTATION_KEY, Presentation};
use datafusion::arrow::array::{Array, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;
use serde::de::IgnoredAny;

use self::document::{Document, Fault, Form};

use crate::error::{Error, ErrorKind, sql_type_names};
use crate::growth::{Limits, Tally};

/// The function a cast to `json` becomes.
pub(crate) const TO_JSON: &str = "causeway_json";

/// The function a cast to `jsonb` becomes.
pub(crate) const TO_JSONB: &str = "causeway_jsonb";

/// These functions, for so many bytes of `limits.memory`.
pub(crate) fn functions(memory: usize) -> [Arc<ScalarUDF>; 2] {
    [(TO_JSON, Presentation::Json), (TO_JSONB, Presentation::Jsonb)].map(|(name, presentation)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Conversion { name, presentation, signature, limits: Limits::of(memory) }))
    })
}

/// A text as a document.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Conversion {
    name: &'static str,
    presentation: Presentation,
    signature: Signature,
    limits: Limits,
}

impl Conversion {
    fn word(&self) -> &'static str {
        self.presentation.as_str().unwrap_or_default()
    }

    /// The text of a document as it is kept.
    fn convert(&self, text: &str, grown: &mut Tally<'_>) -> Result<String> {
        if self.presentation == Presentation::Jsonb {
            let document = Document::read(text).map_err(refused)?;
            grown.add(document.growth())?;
            return document.written(Form::Shown).map_err(refused);
        }
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Ok(text.to_owned()),
            // What the parser says of it may hold parts of the value.
            Err(_) => Err(no_document(self.word())),
        }
    }
}

/// Why a text is no `jsonb`, as clients are told.
fn refused(fault: Fault) -> DataFusionError {
    match fault {
        Fault::Syntax => no_document("jsonb"),
        Fault::TooLarge => refusal(ErrorKind::OutOfRange, "value overflows numeric format".to_owned()),
        Fault::Nul => {
            refusal(ErrorKind::InvalidText, "unsupported Unicode escape sequence: \\u0000 cannot be converted to text".to_owned())
        }
    }
}

fn no_document(word: &str) -> DataFusionError {
    refusal(ErrorKind::InvalidText, format!("invalid input syntax for type {word}"))
}

fn refusal(kind: ErrorKind, message: String) -> DataFusionError {
    DataFusionError::External(Box::new(Error::new(kind, message)))
}

impl ScalarUDFImpl for Conversion {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(match arguments {
            [DataType::Utf8View | DataType::LargeUtf8 | DataType::Null] => vec![DataType::Utf8],
            others => others.to_vec(),
        })
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if let [other] = arguments.arg_fields
            && *other.data_type() != DataType::Utf8
        {
            let name = sql_type_names(&other.data_type().to_string());
            return Err(refusal(ErrorKind::TypeMismatch, format!("cannot cast type {name} to {}", self.word())));
        }
        let nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
        let field = Field::new(self.name, DataType::Utf8, nullable);
        Ok(Arc::new(field.with_metadata([(PRESENTATION_KEY.to_owned(), self.word().to_owned())].into())))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([value], [field]) = (arguments.args.as_slice(), arguments.arg_fields.as_slice()) else {
            return internal_err!("{} has another number of arguments", self.name);
        };
        let known = Presentation::of(field);
        // What is a document already is one, and a `jsonb` is written as such.
        if known == Presentation::Jsonb || (known == Presentation::Json && self.presentation == Presentation::Json) {
            return Ok(value.clone());
        }
        let mut grown = self.limits.tally(self.word());
        let mut convert = |text: Option<&str>| text.map(|text| self.convert(text, &mut grown)).transpose();
        Ok(match value {
            ColumnarValue::Scalar(ScalarValue::Utf8(text)) => ColumnarValue::Scalar(ScalarValue::Utf8(convert(text.as_deref())?)),
            ColumnarValue::Array(texts) if *texts.data_type() == DataType::Utf8 => {
                ColumnarValue::Array(Arc::new(texts.as_string::<i32>().iter().map(convert).collect::<Result<StringArray>>()?))
            }
            other => return internal_err!("{} of {}", self.name, other.data_type()),
        })
    }
}
