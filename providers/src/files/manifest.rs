//! What the connector says about itself.

use crate::capabilities::Capabilities;
use crate::manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};

pub(super) static MANIFEST: Manifest = Manifest {
    kind: "files",
    version: env!("CARGO_PKG_VERSION"),
    description: "Parquet, CSV and JSON lines in a folder, an S3 bucket or on a web server, one table per file, sub-folder or pattern",
    capabilities: Capabilities::SCAN_ONLY,
    health_check: "Lists the folder or asks the server for its first file.",
    options: &[
        OptionSpec {
            name: "path",
            value: ValueKind::Location,
            presence: Presence::Required,
            visibility: Visibility::Public,
            doc: "A folder, or a URL such as s3://bucket/prefix or https://host/file.parquet.",
        },
        OptionSpec {
            name: "format",
            value: ValueKind::Choice(&["parquet", "csv", "json"]),
            presence: Presence::Optional,
            visibility: Visibility::Public,
            doc: "The format of files whose names do not tell it.",
        },
        OptionSpec {
            name: "globs",
            value: ValueKind::Text,
            presence: Presence::Optional,
            visibility: Visibility::Public,
            doc: "Lines of `name = pattern`: the tables, by the pattern of their files; without it, each file and sub-folder is a table.",
        },
        OptionSpec {
            name: "list_cache",
            value: ValueKind::Text,
            presence: Presence::Default("0s"),
            visibility: Visibility::Public,
            doc: "How old the list of a table's files may be when a statement uses it again, such as 10s; with 0s each statement lists anew.",
        },
        OptionSpec {
            name: "endpoint",
            value: ValueKind::Text,
            presence: Presence::Optional,
            visibility: Visibility::Public,
            doc: "The URL of a service that speaks S3, when it is not Amazon's.",
        },
        OptionSpec {
            name: "region",
            value: ValueKind::Text,
            presence: Presence::Default("us-east-1"),
            visibility: Visibility::Public,
            doc: "The bucket's region.",
        },
        OptionSpec {
            name: "access_key_id",
            value: ValueKind::Text,
            presence: Presence::Optional,
            visibility: Visibility::Public,
            doc: "The id of the access key; without one, requests are not signed.",
        },
        OptionSpec {
            name: "allow_http",
            value: ValueKind::Flag,
            presence: Presence::Default("false"),
            visibility: Visibility::Public,
            doc: "Whether the endpoint or server may be reached without TLS.",
        },
        OptionSpec {
            name: "sslrootcert",
            value: ValueKind::Path,
            presence: Presence::Optional,
            visibility: Visibility::Public,
            doc: "A file of certificates in PEM that are trusted beside the system's.",
        },
        OptionSpec {
            name: "secret_access_key",
            value: ValueKind::Text,
            presence: Presence::Optional,
            visibility: Visibility::Secret,
            doc: "The secret of the access key.",
        },
    ],
    faults: super::settings::faults,
};
