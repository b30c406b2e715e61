//! A table as its contract says it is, for when the source says otherwise: what is shown of it is what it was published as.

use causeway_providers::{Comparison, Presentation, RemoteColumn, RemoteTable, TableKind, TypeChange};
use datafusion::arrow::datatypes::DataType;

use crate::drift::{Contract, ContractColumn, TypeRule};

/// The form in which values of a type arrive, by the text of the type.
pub(crate) type FormRule<'a> = &'a (dyn Fn(&str) -> (DataType, Presentation) + Send + Sync);

/// The table that a contract describes. What the contract does not say is as one of `known` has it, the newest first.
pub(crate) fn contracted(contract: &Contract, known: &[&RemoteTable], types: TypeRule<'_>, forms: FormRule<'_>) -> RemoteTable {
    let is_kept = |column: &&ContractColumn| !contract.ignore_columns.contains(&column.name);
    let column = |wanted: &ContractColumn| {
        let of_name = |table: &&RemoteTable| table.columns.iter().find(|column| column.name == wanted.name).cloned();
        let is_as_agreed =
            |column: &RemoteColumn| wanted.remote_type.is_empty() || types(&wanted.remote_type, &column.remote_type) == TypeChange::Same;
        let mut column = known.iter().filter_map(of_name).find(is_as_agreed).unwrap_or_else(|| {
            let (data_type, presentation) = forms(&wanted.remote_type);
            RemoteColumn {
                name: wanted.name.clone(),
                remote_type: wanted.remote_type.clone(),
                data_type,
                presentation,
                nullable: true,
                comment: known.iter().find_map(of_name).and_then(|column| column.comment),
                collation: None,
                comparison: Comparison::None,
            }
        });
        column.nullable = wanted.nullable.unwrap_or(column.nullable);
        column
    };
    let columns: Vec<RemoteColumn> = contract.columns.iter().filter(is_kept).map(column).collect();
    let newest = known.first();
    RemoteTable {
        schema: contract.schema.clone(),
        name: contract.table.clone(),
        kind: newest.map_or(TableKind::Table, |table| table.kind),
        columns,
        primary_key: contract.primary_key.clone().or_else(|| Some(newest?.primary_key.clone())).unwrap_or_default(),
        unique_keys: newest.map(|table| table.unique_keys.clone()).unwrap_or_default(),
        comment: newest.and_then(|table| table.comment.clone()),
        row_estimate: newest.and_then(|table| table.row_estimate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::table;

    #[test]
    fn columns_are_the_contracts_whatever_the_source_has() {
        let column = |name: &str, remote_type: &str, nullable| ContractColumn {
            name: name.to_owned(),
            remote_type: remote_type.to_owned(),
            nullable,
        };
        let contract = Contract {
            schema: "public".to_owned(),
            table: "cust".to_owned(),
            columns: vec![column("email", "text", None), column("id", "integer", Some(false)), column("code", "", None)],
            primary_key: Some(vec!["id".to_owned()]),
            ..Contract::default()
        };
        let types = |expected: &str, actual: &str| if expected == actual { TypeChange::Same } else { TypeChange::Different };
        let forms = |text: &str| (if text == "integer" { DataType::Int32 } else { DataType::Utf8 }, Presentation::Plain);
        let now = table("public", "cust", &["id", "code", "new"]);
        let shown = |known: &[&RemoteTable]| {
            let table = contracted(&contract, known, &types, &forms);
            let column = |column: RemoteColumn| (column.name, column.data_type, column.presentation, column.nullable);
            (table.columns.into_iter().map(column).collect::<Vec<_>>(), table.primary_key)
        };
        let plain = |name: &str, data_type, nullable| (name.to_owned(), data_type, Presentation::Plain, nullable);
        let key = vec!["id".to_owned()];
        let expected = vec![
            plain("email", DataType::Utf8, true),
            plain("id", DataType::Int32, false),
            ("code".to_owned(), DataType::Utf8, Presentation::Uuid, true),
        ];
        assert_eq!(shown(&[&now]), (expected, key.clone()), "`id` is a bigint now");
        let mut before = table("public", "cust", &["id"]);
        before.columns[0].remote_type = "integer".to_owned();
        before.columns[0].data_type = DataType::Int16;
        assert_eq!(shown(&[&now, &before]).0[1], plain("id", DataType::Int16, false), "as it was read when it was as agreed");
        assert_eq!(shown(&[]).0[2], plain("code", DataType::Utf8, true), "of one that was never seen");
    }
}
