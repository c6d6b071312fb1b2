//! The output formats.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};

/// A format of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// For programs. A list is an object with `result` and `result_info`, as in the API.
    Json,
    /// JSON with only these fields of each object. A dot separates the names of nested fields.
    Fields(Vec<String>),
    /// For spreadsheets: RFC 4180 with a header.
    Csv,
}

/// The format that `text` names.
fn parse(text: &str) -> Result<Format, String> {
    if let Some(fields) = text.strip_prefix("json=") {
        let fields: Vec<_> = fields
            .split(',')
            .map(|field| field.trim().to_owned())
            .collect();
        return match fields.iter().any(String::is_empty) {
            true => Err("name the fields after json=, such as json=id,common_name".to_owned()),
            false => Ok(Format::Fields(fields)),
        };
    }
    match text {
        "table" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv),
        _ => Err("must be table, json, json=FIELD,… or csv".to_owned()),
    }
}

/// Reads a format, and names the formats in the help and to shells.
#[derive(Debug, Clone, Copy)]
pub struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Format, clap::Error> {
        let text = StringValueParser::new().try_map(|text| parse(&text));
        text.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = ["table", "json", "json=FIELD,…", "csv"].map(PossibleValue::new);
        Some(Box::new(values.into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_and_fields_are_listed() {
        assert_eq!(parse("table"), Ok(Format::Table));
        assert_eq!(parse("csv"), Ok(Format::Csv));
        let fields = ["id", "certificate_authority.name"].map(str::to_owned);
        let expected = Format::Fields(fields.to_vec());
        assert_eq!(parse("json=id, certificate_authority.name"), Ok(expected));
        for bad in ["", "JSON5", "json=", "json=a,,b", "csv=a"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
