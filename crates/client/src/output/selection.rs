//! The fields that the user wants of JSON objects.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::Failure;

/// The most fields that a message names.
const NAMED_MAX: usize = 40;

/// The selected fields of an object, in the order of the selection.
struct Selected<'a> {
    object: &'a Value,
    fields: &'a [String],
}

impl Serialize for Selected<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for field in self.fields {
            map.serialize_entry(field, &value_of(self.object, field))?;
        }
        map.end()
    }
}

/// Selects fields of an object, or of each object of a list. A field that no object has is an
/// error.
pub fn select(value: &RawValue, fields: &[String]) -> Result<String, Failure> {
    let value: Value =
        serde_json::from_str(value.get()).map_err(|error| Failure::failed(error.to_string()))?;
    let objects = match &value {
        Value::Array(items) => &items[..],
        one => std::slice::from_ref(one),
    };
    for field in fields {
        let has = |object| value_of(object, field).is_some();
        if !objects.is_empty() && !objects.iter().any(has) {
            return Err(unknown(field, &objects[0]));
        }
    }
    let selected: Vec<_> = objects
        .iter()
        .map(|object| Selected { object, fields })
        .collect();
    let text = match &value {
        Value::Array(_) => serde_json::to_string(&selected),
        _ => serde_json::to_string(&selected[0]),
    };
    text.map_err(|error| Failure::failed(error.to_string()))
}

/// The value of a field; a dot separates the names of nested fields.
fn value_of<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    let mut names = field.split('.');
    names.try_fold(object, |value, name| value.get(name))
}

fn unknown(field: &str, object: &Value) -> Failure {
    let fields = object.as_object().into_iter().flatten();
    let names: Vec<_> = fields
        .take(NAMED_MAX)
        .map(|(name, _)| name.as_str())
        .collect();
    Failure::usage(format!("the result has no field {field:?}"))
        .hint(format!("its fields are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(text: &str, fields: &[&str]) -> Result<String, Failure> {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        let value = RawValue::from_string(text.to_owned()).unwrap();
        select(&value, &fields)
    }

    #[test]
    fn fields_are_selected_in_the_order_of_the_user() {
        let object = r#"{"a":1,"b":{"c":"x"},"d":null}"#;
        let expected = r#"{"d":null,"b.c":"x","a":1}"#;
        assert_eq!(selected(object, &["d", "b.c", "a"]).unwrap(), expected);
        let list = r#"[{"a":1},{"b":2}]"#;
        let expected = r#"[{"b":null},{"b":2}]"#;
        assert_eq!(selected(list, &["b"]).unwrap(), expected);
        assert_eq!(selected("[]", &["whatever"]).unwrap(), "[]");
        let unknown = selected(list, &["c"]).unwrap_err();
        let expected = "the result has no field \"c\" (its fields are a)";
        assert_eq!(unknown.to_string(), expected);
    }
}
