//! A connector to begin with: the files of one that works, compiled and tested with this crate.

/// The kind that the files give themselves. Whoever writes them elsewhere puts another in its place, in its forms `skeleton` and
/// `Skeleton`.
pub const SKELETON: &str = "skeleton";

/// The files of its folder: their names and texts.
pub const SKELETON_FILES: [(&str, &str); 8] = [
    ("mod.rs", include_str!("../skeleton/mod.rs")),
    ("manifest.rs", include_str!("../skeleton/manifest.rs")),
    ("connect.rs", include_str!("../skeleton/connect.rs")),
    ("introspect.rs", include_str!("../skeleton/introspect.rs")),
    ("type_mapping.rs", include_str!("../skeleton/type_mapping.rs")),
    ("type_change.rs", include_str!("../skeleton/type_change.rs")),
    ("scan.rs", include_str!("../skeleton/scan.rs")),
    ("tests.rs", include_str!("../skeleton/tests.rs")),
];
