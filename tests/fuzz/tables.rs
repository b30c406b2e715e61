//! Random tables, and where they are.

use std::fmt::Write as _;

use super::dice::Dice;
use super::values::{Engine, Kind, Range, Value, any};

/// Where a table can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Postgres,
    MariaDb,
    Sqlite,
    Parquet,
    Csv,
}

/// A column, wherever its table is.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// As it is written in a query: in quotes where it must be.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) range: Range,
    /// Whether it has no NULL, which its table declares.
    pub(super) required: bool,
    /// Which of the types of its kind it has.
    flavor: usize,
}

/// A table with its rows, which may be in two places.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) places: Vec<Place>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Value>>,
    /// Whether its first column is declared to be its key.
    keyed: bool,
}

const KINDS: [Kind; 14] = [
    Kind::Int,
    Kind::Int,
    Kind::Numeric,
    Kind::Numeric,
    Kind::Float,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Bool,
    Kind::Date,
    Kind::Timestamp,
    Kind::Timestamptz,
    Kind::Bytes,
    Kind::Uuid,
];
const COLLATIONS: [&str; 5] = ["", " COLLATE \"C\"", " COLLATE \"en-x-icu\"", " COLLATE loose", ""];
const MARIADB_COLLATIONS: [&str; 5] =
    ["utf8mb4_general_ci", "utf8mb4_nopad_bin", "utf8mb4_bin", "utf8mb4_unicode_520_nopad_ci", "utf8mb4_nopad_bin"];
const SQLITE_COLLATIONS: [&str; 5] = ["", " COLLATE NOCASE", "", " COLLATE RTRIM", ""];
/// The flavor of a text that is a `char(n)` where there is one.
const PADDED: usize = 4;
/// Makes the collation that takes `a` and `A` for equal.
pub(super) const LOOSE_COLLATION: &str = "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);\n";

impl Place {
    /// The schema in which its tables are seen.
    pub(super) fn schema(self) -> &'static str {
        match self {
            Self::Postgres => "p",
            Self::MariaDb => "m",
            Self::Sqlite => "s",
            Self::Parquet | Self::Csv => "f",
        }
    }

    fn engine(self) -> Engine {
        match self {
            Self::MariaDb => Engine::MariaDb,
            Self::Sqlite => Engine::Sqlite,
            Self::Postgres | Self::Parquet | Self::Csv => Engine::Postgres,
        }
    }

    fn has(self, kind: Kind) -> bool {
        match self {
            Self::Postgres | Self::MariaDb => true,
            Self::Sqlite | Self::Parquet => kind != Kind::Uuid,
            Self::Csv => matches!(kind, Kind::Int | Kind::Float | Kind::Text | Kind::Bool | Kind::Date | Kind::Timestamp),
        }
    }
}

/// The tables of one round; `suffix` makes their names differ from another round's.
pub(super) fn tables(dice: &mut Dice, suffix: u64) -> Vec<Table> {
    let count = 4 + dice.roll(3);
    (1..=count).map(|number| table(dice, format!("t{number}_{suffix}"))).collect()
}

fn table(dice: &mut Dice, name: String) -> Table {
    const PLACES: [Place; 9] = [
        Place::Postgres,
        Place::Postgres,
        Place::Postgres,
        Place::MariaDb,
        Place::MariaDb,
        Place::Sqlite,
        Place::Sqlite,
        Place::Parquet,
        Place::Csv,
    ];
    let mut places = vec![*dice.pick(&PLACES)];
    let second = *dice.pick(&PLACES);
    if dice.chance(30) && second.schema() != places[0].schema() {
        places.push(second);
    }
    let has = |kind: Kind| places.iter().all(|place| place.has(kind));
    let range = Range {
        bits: 32,
        digits: (10, 2),
        odd_floats: places.iter().all(|place| matches!(place, Place::Postgres | Place::Parquet)),
        wide_moments: !places.contains(&Place::MariaDb),
        far: true,
    };
    let mut columns = vec![Column { name: "id".to_owned(), kind: Kind::Int, range, required: true, flavor: 0 }];
    let mut counts = [0; 10];
    for _ in 0..4 + dice.roll(7) {
        let kind = *dice.pick(&KINDS);
        if has(kind) {
            counts[kind as usize] += 1;
            columns.push(column(dice, kind, counts[kind as usize], range, &places));
        }
    }
    let count = match dice.roll(20) {
        0 => 0,
        1..=5 => 1 + dice.roll(5),
        _ => 4 + dice.roll(24),
    };
    let csv = places.contains(&Place::Csv);
    let null_percent = *dice.pick(&[0, 15, 15, 30, 60]);
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for index in 0..count.max(usize::from(csv)) {
        let value = |(place, column): (usize, &Column)| match place {
            0 => Value::Int(i64::try_from(index + 1).expect("there are few rows")),
            // The first row tells the types of the others.
            _ if csv && index == 0 => typical(column.kind),
            _ if !column.required && dice.chance(null_percent) => Value::Null,
            _ => match any(dice, column.kind, column.range) {
                // A field of CSV that is empty is NULL.
                Value::Text(text) if csv && text.is_empty() => Value::Text("-".to_owned()),
                value => value,
            },
        };
        rows.push(columns.iter().enumerate().map(value).collect());
    }
    Table { name, places, columns, rows, keyed: dice.chance(70) }
}

fn column(dice: &mut Dice, kind: Kind, number: usize, mut range: Range, places: &[Place]) -> Column {
    let letter = match kind {
        Kind::Int => "i",
        Kind::Numeric => "n",
        Kind::Float => "f",
        Kind::Text => "t",
        Kind::Bool => "b",
        Kind::Date => "d",
        Kind::Timestamp => "ts",
        Kind::Timestamptz => "tz",
        Kind::Bytes => "y",
        Kind::Uuid => "u",
    };
    let name = match (kind, number) {
        (Kind::Int, 2) => "\"order\"".to_owned(),
        (Kind::Text, 2) => "\"Te xt\"".to_owned(),
        _ => format!("{letter}{number}"),
    };
    range.bits = *dice.pick(&[16, 32, 32, 64]);
    // SQLite keeps fifteen digits of a decimal.
    let exact = if places.contains(&Place::Sqlite) { (9, 4) } else { (16, 4) };
    range.digits = *dice.pick(&[(10, 2), (10, 2), (5, 0), exact]);
    range.far = dice.chance(30);
    Column { name, kind, range, required: dice.chance(25), flavor: dice.roll(5) }
}

fn typical(kind: Kind) -> Value {
    match kind {
        Kind::Int => Value::Int(1),
        Kind::Numeric => Value::Numeric("0.5".to_owned()),
        Kind::Float => Value::Float(0.5),
        Kind::Text => Value::Text("x".to_owned()),
        Kind::Bool => Value::Bool(true),
        Kind::Date => Value::Date("2024-02-29"),
        Kind::Timestamp => Value::Timestamp("2024-02-29 12:00:00"),
        Kind::Timestamptz => Value::Timestamptz("2024-02-29 12:00:00"),
        Kind::Bytes => Value::Bytes(vec![0]),
        Kind::Uuid => Value::Null,
    }
}

impl Column {
    /// The value as it comes back from there.
    pub(super) fn stored(&self, place: Place, value: &Value) -> Value {
        match value {
            Value::Text(text) if self.flavor == PADDED && matches!(place, Place::Postgres | Place::MariaDb) => {
                Value::Text(text.trim_end_matches(' ').to_owned())
            }
            value => value.clone(),
        }
    }

    fn declared(&self, place: Place) -> String {
        let (before, behind) = self.range.digits;
        let ours = self.published(place);
        match (place, self.kind) {
            (Place::Postgres, Kind::Text) => match self.flavor {
                PADDED => "char(20)".to_owned(),
                flavor => format!("{}{}", if flavor == 1 { "varchar(30)" } else { "text" }, COLLATIONS[flavor]),
            },
            (Place::MariaDb, Kind::Numeric) => format!("decimal({}, {behind})", before + behind),
            (Place::MariaDb, Kind::Float) => "double".to_owned(),
            (Place::MariaDb, Kind::Text) => {
                let ty = if self.flavor == PADDED { "char(20)" } else { "varchar(30)" };
                format!("{ty} COLLATE {}", MARIADB_COLLATIONS[self.flavor])
            }
            (Place::MariaDb, Kind::Bool) => "bit(1)".to_owned(),
            (Place::MariaDb, Kind::Timestamp) => "datetime(6)".to_owned(),
            (Place::MariaDb, Kind::Timestamptz) => "timestamp(6) NULL DEFAULT NULL".to_owned(),
            (Place::MariaDb, Kind::Bytes) => "varbinary(20)".to_owned(),
            (Place::Sqlite, Kind::Text) => format!("text{}", SQLITE_COLLATIONS[self.flavor]),
            (Place::Sqlite, Kind::Int) => "integer".to_owned(),
            (Place::Sqlite, Kind::Bytes) => "blob".to_owned(),
            _ => ours,
        }
    }

    /// The type that the gateway gives it.
    fn published(&self, place: Place) -> String {
        let (before, behind) = self.range.digits;
        match (self.kind, place) {
            (Kind::Int, Place::Sqlite | Place::Csv) => "bigint".to_owned(),
            (Kind::Int, _) => match self.range.bits {
                16 => "smallint".to_owned(),
                32 => "int".to_owned(),
                _ => "bigint".to_owned(),
            },
            (Kind::Numeric, _) => format!("numeric({}, {behind})", before + behind),
            (Kind::Float, _) => "double precision".to_owned(),
            (Kind::Text, _) => "text".to_owned(),
            (Kind::Bool, _) => "boolean".to_owned(),
            (Kind::Date, _) => "date".to_owned(),
            (Kind::Timestamp, _) => "timestamp".to_owned(),
            (Kind::Timestamptz, _) => "timestamptz".to_owned(),
            (Kind::Bytes, _) => "bytea".to_owned(),
            (Kind::Uuid, _) => "uuid".to_owned(),
        }
    }

    fn null(&self, place: Place) -> &'static str {
        match (self.required, place, self.kind) {
            (true, Place::MariaDb, Kind::Timestamptz) | (false, ..) => "",
            (true, ..) => " NOT NULL",
        }
    }
}

impl Table {
    /// Makes it in one of its places.
    pub(super) fn script(&self, place: Place) -> String {
        let quote = |name: &str| if place == Place::MariaDb { format!("`{}`", name.trim_matches('"')) } else { name.to_owned() };
        let column = |column: &Column| format!("{} {}{}", quote(&column.name), column.declared(place), column.null(place));
        let mut columns: Vec<_> = self.columns.iter().map(column).collect();
        if self.keyed {
            columns.push("PRIMARY KEY (id)".to_owned());
        }
        self.insert(&self.name, &columns, place, place.engine())
    }

    /// Makes all of it in the reference.
    pub(super) fn reference_script(&self) -> String {
        let script = |place: &Place| {
            let column = |column: &Column| format!("{} {}", column.name, column.published(*place));
            let columns: Vec<_> = self.columns.iter().map(column).collect();
            self.insert(&format!("{}.{}", place.schema(), self.name), &columns, *place, Engine::Postgres)
        };
        self.places.iter().map(script).collect()
    }

    fn insert(&self, name: &str, columns: &[String], place: Place, engine: Engine) -> String {
        let mut script = format!("CREATE TABLE {name} ({});\n", columns.join(", "));
        if !self.rows.is_empty() {
            let row = |row: &Vec<Value>| {
                let value = |(column, value): (&Column, &Value)| column.stored(place, value).sql(engine);
                format!("({})", self.columns.iter().zip(row).map(value).collect::<Vec<_>>().join(", "))
            };
            let rows: Vec<_> = self.rows.iter().map(row).collect();
            let _ = writeln!(script, "INSERT INTO {name} VALUES\n{};", rows.join(",\n"));
        }
        script
    }
}
