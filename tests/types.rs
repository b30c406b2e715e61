//! Every ordinary type of the sources, with its edge values, arrives as what it is: in text and in binary.

use causeway_tests::{ClickHouseServer, Gateway, MariaDbServer, PostgresServer, raw_rows, text_rows};

/// PostgreSQL's ordinary types with values at their edges, as literals.
const POSTGRES: &[(&str, &[&str])] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "0", "32767"]),
    ("integer", &["-2147483648", "0", "2147483647"]),
    ("bigint", &["-9223372036854775808", "0", "9223372036854775807"]),
    ("oid", &["0", "4294967295"]),
    ("numeric(12,2)", &["-9999999999.99", "0", "0.10", "9999999999.99"]),
    ("numeric(38,0)", &["-99999999999999999999999999999999999999", "7"]),
    ("numeric(60,20)", &["1234567890123456789012345678901234567890.12345678901234567890", "-0.00000000000000000001"]),
    ("numeric", &["0", "1", "-1.5", "100", "0.000000000000000000000000000001", "12345678901234567890123456789012345678"]),
    ("real", &["0", "-0", "1.5", "0.1", "3.4028235e38", "1e-45", "'NaN'", "'Infinity'", "'-Infinity'"]),
    (
        "double precision",
        &["0", "-0", "0.1", "1.7976931348623157e308", "5e-324", "1e15", "1e16", "1e-5", "'NaN'", "'Infinity'", "'-Infinity'"],
    ),
    ("money", &["'1234.56'", "'-0.01'"]),
    ("text", &["''", "'a'", "'O''Neil \"x\" \\ back'", "E'tab\\tline\\nend'", "'東京 🦀'", "repeat('long ', 5000)"]),
    ("varchar(10)", &["''", "'abc  '", "'naïve'"]),
    // The blanks a char(n) is filled up with mean nothing, and are left off here; see `postgres_padding_is_left_off`.
    ("char(6)", &["'abcdef'"]),
    ("name", &["'a_name'"]),
    ("\"char\"", &["'x'"]),
    ("bytea", &["''", "'\\x00ff10'", "decode(repeat('ab', 3000), 'hex')"]),
    (
        "date",
        &[
            "'2024-02-29'",
            "'1970-01-01'",
            "'0001-01-01'",
            "'0044-03-15 BC'",
            "'4713-01-01 BC'",
            "'9999-12-31'",
            "'12024-01-01'",
            "'infinity'",
            "'-infinity'",
        ],
    ),
    ("time", &["'00:00:00'", "'23:59:59.999999'"]),
    ("timetz", &["'12:34:56.789+05:30'", "'00:00:00-08'"]),
    (
        "timestamp",
        &[
            "'2024-02-29 23:59:59.999999'",
            "'1969-12-31 23:59:59.5'",
            "'0044-03-15 12:00:00 BC'",
            "'10000-01-01 00:00:00'",
            "'infinity'",
            "'-infinity'",
        ],
    ),
    ("timestamptz", &["'2024-07-01 12:00:00+02'", "'1900-01-01 00:00:00+00'", "'0044-03-15 12:00:00+00 BC'", "'infinity'", "'-infinity'"]),
    ("interval", &["'0'", "'1 year 2 mons 3 days 04:05:06.789'", "'-1 day'", "'-00:00:00.000001'", "'1 mon -1 day'", "'178000000 years'"]),
    ("uuid", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'00000000-0000-0000-0000-000000000000'"]),
    ("json", &["'{\"b\": 1,  \"a\": [null, true]}'", "'null'", "'\"x\"'"]),
    ("jsonb", &["'{\"b\": 1,  \"a\": [null, true]}'", "'null'", "'1.50'"]),
    ("inet", &["'192.168.0.1'", "'10.0.0.0/8'", "'::1'", "'2001:db8::/32'"]),
    ("cidr", &["'10.0.0.0/8'", "'2001:db8::/32'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("bit(5)", &["B'10101'"]),
    ("varbit", &["B''", "B'101'"]),
    ("point", &["'(1.5,-2)'"]),
    ("line", &["'{1,2,3}'"]),
    ("lseg", &["'[(0,0),(1,1)]'"]),
    ("box", &["'(1,1),(0,0)'"]),
    ("path", &["'((0,0),(1,1))'", "'[(0,0),(1,1)]'"]),
    ("polygon", &["'((0,0),(1,1),(1,0))'"]),
    ("circle", &["'<(0,0),2>'"]),
    ("xml", &["'<a>b</a>'"]),
    ("tsvector", &["'a fat cat'"]),
    ("tsquery", &["'fat & cat'"]),
    ("pg_lsn", &["'16/B374D848'"]),
    ("int4range", &["'[1,5)'", "'empty'", "'(,)'"]),
    ("numrange", &["'[1.5,2.5]'"]),
    ("tstzrange", &["'[2024-01-01 00:00+00,2024-02-01 00:00+00)'"]),
    ("int4multirange", &["'{[1,3),[7,9)}'"]),
    ("mood", &["'sad'", "'very happy'"]),
    ("positive", &["1", "2147483647"]),
    ("pair", &["ROW(1, 'a b')", "ROW(NULL, '')"]),
    ("integer[]", &["'{}'", "'{1,NULL,3}'", "'{-2147483648}'"]),
    ("bigint[]", &["'{9223372036854775807}'"]),
    ("text[]", &["'{}'", "'{a,\"b c\",NULL,\"NULL\",\"\",\"q\\\"\\\\\"}'"]),
    ("boolean[]", &["'{t,f,NULL}'"]),
    ("double precision[]", &["'{0.1,NaN,-Infinity}'"]),
    ("numeric(10,2)[]", &["'{1.50,NULL}'"]),
    ("date[]", &["'{2024-02-29,0044-03-15 BC}'"]),
    ("timestamptz[]", &["'{2024-07-01 12:00:00+02}'"]),
    ("uuid[]", &["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"]),
];

/// PostgreSQL's types that are shown as another one which is not text; their texts are compared all the same.
const SHOWN_AS: &[(&str, &str)] = &[("oid", "int8"), ("_uuid", "_text"), ("_varchar", "_text")];

/// MariaDB's ordinary types: a literal, and what a client of PostgreSQL expects to read.
const MARIADB: &[(&str, &[(&str, &str)])] = &[
    ("tinyint", &[("-128", "-128"), ("127", "127")]),
    ("tinyint unsigned", &[("255", "255")]),
    ("boolean", &[("TRUE", "1"), ("2", "2")]),
    ("smallint", &[("-32768", "-32768")]),
    ("smallint unsigned", &[("65535", "65535")]),
    ("mediumint", &[("-8388608", "-8388608")]),
    ("mediumint unsigned", &[("16777215", "16777215")]),
    ("int", &[("-2147483648", "-2147483648")]),
    ("int unsigned", &[("4294967295", "4294967295")]),
    ("bigint", &[("-9223372036854775808", "-9223372036854775808"), ("9223372036854775807", "9223372036854775807")]),
    ("bigint unsigned", &[("18446744073709551615", "18446744073709551615")]),
    ("decimal(12,2)", &[("-9999999999.99", "-9999999999.99"), ("0.1", "0.10")]),
    ("decimal(38,10)", &[("1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789")]),
    (
        "decimal(65,30)",
        &[(
            "12345678901234567890123456789012345.123456789012345678901234567890",
            "12345678901234567890123456789012345.123456789012345678901234567890",
        )],
    ),
    ("float", &[("0.1", "0.1"), ("3.4028234e38", "3.4028235e+38"), ("16777216", "1.6777216e+07")]),
    ("double", &[("0.1", "0.1"), ("1.7976931348623157e308", "1.7976931348623157e+308"), ("1e15", "1e+15"), ("123456.5", "123456.5")]),
    ("year", &[("2024", "2024"), ("1901", "1901")]),
    ("date", &[("'2024-02-29'", "2024-02-29"), ("'1000-01-01'", "1000-01-01"), ("'9999-12-31'", "9999-12-31")]),
    ("datetime", &[("'2024-02-29 23:59:59'", "2024-02-29 23:59:59")]),
    (
        "datetime(6)",
        &[("'2024-02-29 23:59:59.999999'", "2024-02-29 23:59:59.999999"), ("'1000-01-01 00:00:00.5'", "1000-01-01 00:00:00.5")],
    ),
    // The server's own zone is five and a half hours ahead.
    ("timestamp(6)", &[("'2024-07-01 12:00:00.25'", "2024-07-01 06:30:00.25+00")]),
    // An amount of time, which PostgreSQL calls an interval.
    ("time(6)", &[("'-838:59:59'", "-838:59:59"), ("'12:34:56.789'", "12:34:56.789"), ("'00:00:00'", "00:00:00")]),
    ("bit(1)", &[("b'1'", "t"), ("b'0'", "f")]),
    ("bit(5)", &[("b'00101'", "00101")]),
    ("char(6)", &[("'ab'", "ab"), ("''", "")]),
    ("varchar(20)", &[("'abc  '", "abc  "), ("'東京 🦀'", "東京 🦀"), ("'O''Neil \\\\ \"x\"'", "O'Neil \\ \"x\"")]),
    ("varchar(20) CHARACTER SET latin1", &[("'naïve'", "naïve")]),
    ("tinytext", &[("'t'", "t")]),
    ("text", &[("''", ""), ("'line\\nend'", "line\nend")]),
    ("mediumtext", &[("'m'", "m")]),
    ("longtext", &[("'l'", "l")]),
    ("binary(4)", &[("x'00ff'", "\\x00ff0000")]),
    ("varbinary(10)", &[("x'00ff'", "\\x00ff"), ("''", "\\x")]),
    ("blob", &[("x'deadbeef'", "\\xdeadbeef")]),
    ("longblob", &[("x''", "\\x")]),
    ("enum('a','b c')", &[("'b c'", "b c")]),
    ("set('a','b')", &[("'a,b'", "a,b"), ("''", "")]),
    ("json", &[("'{\"b\": 1,  \"a\": null}'", "{\"b\": 1,  \"a\": null}")]),
    ("uuid", &[("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("inet4", &[("'192.168.0.1'", "192.168.0.1")]),
    ("inet6", &[("'2001:db8::1'", "2001:db8::1")]),
    ("point", &[("ST_GeomFromText('POINT(1 2)')", "POINT(1 2)")]),
];

#[tokio::test(flavor = "multi_thread")]
async fn postgres_types_arrive_as_postgres_prints_them() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("types");
    let mut script = "CREATE TYPE mood AS ENUM ('sad', 'very happy'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);\
                      CREATE TYPE pair AS (a int, b text);\n"
        .to_owned();
    for (index, (name, values)) in POSTGRES.iter().enumerate() {
        let rows: Vec<_> = values.iter().chain(&["NULL"]).enumerate().map(|(key, value)| format!("({key}, {value})")).collect();
        script
            .push_str(&format!("CREATE TABLE t{index} (k int PRIMARY KEY, v {name}); INSERT INTO t{index} VALUES {};\n", rows.join(", ")));
    }
    database.script(&script);
    let gateway = Gateway::start([database.datasource("pg")]);
    let (ours, theirs) = (gateway.connect().await, database.connect().await);
    for client in [&ours, &theirs] {
        text_rows(client, "SET TIME ZONE 'UTC'").await.unwrap();
    }

    let mut wrong = Vec::new();
    for (index, (name, _)) in POSTGRES.iter().enumerate() {
        let here = format!("SELECT v FROM pg.t{index} ORDER BY k");
        let there = format!("SELECT v FROM t{index} ORDER BY k");
        let expected = text_rows(&theirs, &there).await.unwrap();
        match text_rows(&ours, &here).await {
            Ok(rows) => {
                for (expected, row) in expected.iter().zip(&rows).filter(|(expected, row)| expected != row) {
                    wrong.push(format!("{name}, text: {row:?} instead of {expected:?}"));
                }
                if rows.len() != expected.len() {
                    wrong.push(format!("{name}, text: {} rows instead of {}", rows.len(), expected.len()));
                }
            }
            Err(error) => wrong.push(format!("{name}, text: {error:?}")),
        }
        let binary = raw_rows(&theirs, &there).await.unwrap();
        match raw_rows(&ours, &here).await {
            Ok(rows) => {
                for ((expected, row), text) in binary.iter().zip(&rows).zip(&expected) {
                    let (theirs, ours) = (expected[0].type_name.as_str(), row[0].type_name.as_str());
                    let same = match ours {
                        _ if theirs == ours => expected[0].bytes == row[0].bytes,
                        // Binary text is the text itself.
                        "text" => row[0].bytes.as_deref() == text[0].as_deref().map(str::as_bytes),
                        _ => SHOWN_AS.contains(&(theirs, ours)),
                    };
                    if !same {
                        wrong.push(format!("{name}, binary: {:?} instead of {:?}", row[0], expected[0]));
                    }
                }
            }
            Err(error) => wrong.push(format!("{name}, binary: {error:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} values differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_types_arrive_as_documented() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("types");
    let mut script = "SET NAMES utf8mb4;\n".to_owned();
    for (index, (name, values)) in MARIADB.iter().enumerate() {
        let rows: Vec<_> =
            values.iter().map(|(value, _)| *value).chain(["NULL"]).enumerate().map(|(key, value)| format!("({key}, {value})")).collect();
        script.push_str(&format!(
            "CREATE TABLE t{index} (k int PRIMARY KEY, v {name} NULL); INSERT INTO t{index} VALUES {};\n",
            rows.join(", ")
        ));
    }
    database.script(&script);
    let gateway = Gateway::start([database.datasource("my")]);
    let client = gateway.connect().await;
    let mut wrong = Vec::new();
    for (index, (name, values)) in MARIADB.iter().enumerate() {
        let expected: Vec<_> = values.iter().map(|(_, text)| vec![Some((*text).to_owned())]).chain([vec![None]]).collect();
        let sql = format!("SELECT v FROM my.t{index} ORDER BY k");
        match text_rows(&client, &sql).await {
            Ok(rows) if rows == expected => {}
            Ok(rows) => wrong.push(format!("{name}, text: {rows:?} instead of {expected:?}")),
            Err(error) => wrong.push(format!("{name}, text: {error:?}")),
        }
        if let Err(error) = raw_rows(&client, &sql).await {
            wrong.push(format!("{name}, binary: {error:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} types differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_padding_is_left_off() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("types_padding");
    database.script("CREATE TABLE t (k int, v char(6)); INSERT INTO t VALUES (1, 'ab'), (2, ''), (3, ' a'), (4, NULL);");
    let gateway = Gateway::start([database.datasource("pg")]);
    let client = gateway.connect().await;
    let values: Vec<_> = text_rows(&client, "SELECT v FROM pg.t ORDER BY k").await.unwrap().into_iter().flatten().collect();
    assert_eq!(values, [Some("ab".to_owned()), Some(String::new()), Some(" a".to_owned()), None]);
    for (filter, found) in [("v = 'ab'", "1"), ("v = 'ab  '", "1"), ("v = ''", "1"), ("v = 'a'", "0")] {
        let there = database.psql().rows(&format!("SELECT count(*) FROM t WHERE {filter}"));
        assert_eq!(there, [found], "{filter} in PostgreSQL");
    }
    assert_eq!(text_rows(&client, "SELECT count(*) FROM pg.t WHERE v = 'ab'").await.unwrap(), [vec![Some("1".to_owned())]]);
}

/// A value without a home is an error that names its column; it hides neither the table nor the other columns.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_are_errors() {
    let (Some(postgres), Some(mariadb)) = (PostgresServer::shared(), MariaDbServer::shared()) else { return };
    let pg = postgres.database("types_odd");
    pg.script(
        "CREATE TABLE t (id int, huge numeric, latest time, grid int[]);
         INSERT INTO t VALUES (1, 1e60, '24:00:00', '{{1,2},{3,4}}'), (2, 5, '12:00:00', '{1}');",
    );
    let my = mariadb.database("types_odd");
    my.script("SET sql_mode = ''; CREATE TABLE t (id int, never date, at datetime); INSERT INTO t VALUES (1, '0000-00-00', '2024-00-10 00:00:00');");
    let gateway = Gateway::start([pg.datasource("pg"), my.datasource("my")]);
    let client = gateway.connect().await;
    for (table, column) in [("pg.t", "huge"), ("pg.t", "latest"), ("pg.t", "grid"), ("my.t", "never"), ("my.t", "at")] {
        let error = text_rows(&client, &format!("SELECT id, {column} FROM {table}")).await.expect_err("the value does not fit");
        let error = error.as_db_error().expect("the gateway answers");
        assert!(error.message().contains(column), "{error:?}");
        assert!(!error.code().code().starts_with("XX"), "{error:?}");
        assert!(!text_rows(&client, &format!("SELECT id FROM {table}")).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_refused_is_named_as_its_source_names_it() {
    let (Some(clickhouse), Some(postgres)) = (ClickHouseServer::shared(), PostgresServer::shared()) else { return };
    let (log, crm) = (clickhouse.database("refused"), postgres.database("refused"));
    log.script(
        "CREATE TABLE IN_HERE.t (id Int32, word String) ENGINE = MergeTree ORDER BY id;\nINSERT INTO IN_HERE.t VALUES (1, unhex('ff'))",
    );
    crm.script("CREATE TABLE t (id integer, word numeric); INSERT INTO t VALUES (1, 'NaN')");
    let Some(mariadb) = MariaDbServer::shared() else { return };
    let shop = mariadb.database("refused");
    shop.script("SET sql_mode = ''; CREATE TABLE t (id int, word date); INSERT INTO t VALUES (1, '0000-00-00')");
    let gateway = Gateway::start([log.datasource("log"), crm.datasource("crm"), shop.datasource("shop")]);
    let client = gateway.connect().await;
    for (datasource, table) in [("log", "refused.t"), ("crm", "public.t"), ("shop", "refused.t")] {
        for sql in ["SELECT id, word AS shown FROM t", "SELECT a.word AS shown FROM t a JOIN t b ON a.id = b.id ORDER BY b.id LIMIT 5"] {
            let sql = sql.replace(" t", &format!(" {datasource}.t"));
            let error = text_rows(&client, &sql).await.unwrap_err();
            let error = error.as_db_error().unwrap();
            assert!(error.message().contains(&format!("table \"{table}\": column \"word\" holds")), "{sql}: {error:?}");
        }
    }
}
