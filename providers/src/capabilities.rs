//! What a source computes exactly as we would. The planner asks here before it ships anything.

/// Facts a connector states about its source. `false` keeps the work here, which is always right.
///
/// What may be done with a particular column or expression is decided by the column's `Comparison` and by `SqlRemote::translate`;
/// these flags say whether the plan node itself may be shipped at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// `WHERE` with translated predicates.
    pub filter: bool,
    /// `LIMIT` and `OFFSET`.
    pub limit: bool,
    /// `ORDER BY` with explicit NULL placement.
    pub sort: bool,
    /// `GROUP BY` with `count`, `sum`, `min`, `max`, `avg` cast to our result types, and `DISTINCT`.
    pub aggregate: bool,
    /// `row_number`, `rank`, `dense_rank` and the aggregates over windows.
    pub window: bool,
    /// Inner and cross joins.
    pub inner_join: bool,
    /// Left and right outer joins.
    pub outer_join: bool,
    /// Full outer joins.
    pub full_join: bool,
    /// Semi and anti joins as `EXISTS` and `NOT EXISTS`.
    pub semi_join: bool,
    /// Dropping a stream ends the statement at the source within two seconds.
    pub cancel: bool,
    /// The source takes a time limit of its own.
    pub statement_timeout: bool,
}

impl Capabilities {
    /// A source that computes everything as we do.
    pub const ALL: Self = Self {
        filter: true,
        limit: true,
        sort: true,
        aggregate: true,
        window: true,
        inner_join: true,
        outer_join: true,
        full_join: true,
        semi_join: true,
        cancel: true,
        statement_timeout: true,
    };

    /// A source that can only be read from end to end.
    pub const SCAN_ONLY: Self = Self {
        filter: false,
        limit: false,
        sort: false,
        aggregate: false,
        window: false,
        inner_join: false,
        outer_join: false,
        full_join: false,
        semi_join: false,
        cancel: false,
        statement_timeout: false,
    };

    /// The flags by the names that documents and views use, in order.
    pub fn flags(&self) -> [(&'static str, bool); 11] {
        let Self { filter, limit, sort, aggregate, window, inner_join, outer_join, full_join, semi_join, cancel, statement_timeout } =
            *self;
        [
            ("filter", filter),
            ("limit", limit),
            ("sort", sort),
            ("aggregate", aggregate),
            ("window", window),
            ("inner_join", inner_join),
            ("outer_join", outer_join),
            ("full_join", full_join),
            ("semi_join", semi_join),
            ("cancel", cancel),
            ("statement_timeout", statement_timeout),
        ]
    }

    /// Whether every flag that is set here is set there.
    pub fn is_within(&self, other: &Self) -> bool {
        self.flags().iter().zip(other.flags()).all(|((_, here), (_, there))| there || !here)
    }
}
