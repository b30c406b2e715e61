//! What a scan reads, in words, for those who are told that it reads too much.

use datafusion::physical_plan::ExecutionPlan;

use crate::files::files_read;
use crate::sql::RemoteScan;
use crate::subject::Subject;

/// The tables or files that `plan` reads and of which datasource, such as `public.orders of datasource "crm"`; `None` for what is no scan
/// of a datasource.
pub fn scan_subject(plan: &dyn ExecutionPlan) -> Option<String> {
    if let Some(scan) = plan.downcast_ref::<RemoteScan>() {
        let tables: Vec<String> =
            scan.sql().reliance.tables().map(|table| Subject::table(&table.schema, &table.name).to_string()).collect();
        let datasource = scan.remote().id();
        if tables.is_empty() {
            return Some(format!("datasource \"{datasource}\""));
        }
        return Some(format!("{} of datasource \"{datasource}\"", tables.join(", ")));
    }
    let (table, datasource) = files_read(plan)?;
    Some(format!("{table} of datasource \"{datasource}\""))
}
