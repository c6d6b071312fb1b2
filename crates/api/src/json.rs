//! Reads a JSON value into a struct. An error names the part of the value that does not fit, by its
//! JSON pointer (RFC 6901), and the value that belongs there.

use std::fmt;
use std::iter::Enumerate;
use std::slice;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value, map};

/// Characters of a member's name that an error shows.
const NAME_CHARACTERS_MAX: usize = 100;

/// Characters of a value that an error shows.
const VALUE_CHARACTERS_MAX: usize = 40;

/// Reads the value.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    T::deserialize(Part(Some(value)))
}

/// A part of a value that does not fit.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// The steps from the part up to the whole value.
    steps: Vec<PointerStep>,
    problem: String,
}

#[derive(Debug)]
enum PointerStep {
    Name(String),
    Index(usize),
}

impl Misfit {
    fn new(problem: String) -> Self {
        let steps = Vec::new();
        Self { steps, problem }
    }

    fn wrong(found: &str, expected: &str) -> Self {
        // Serde's words for types that have another name in JSON.
        let expected = match expected {
            "a boolean" => "true or false",
            "a sequence" => "an array",
            "a map" => "an object",
            other => other,
        };
        Self::new(format!("is {found}: send {expected}"))
    }

    fn below(mut self, step: PointerStep) -> Self {
        self.steps.push(step);
        self
    }

    /// Returns the JSON pointer to the part.
    pub(crate) fn pointer(&self) -> String {
        let steps = self.steps.iter().rev().map(|step| match step {
            PointerStep::Name(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            PointerStep::Index(index) => format!("/{index}"),
        });
        steps.collect()
    }
}

/// Names the part, the problem and the remedy.
impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match &self.steps[..] {
            [] => "The body".to_owned(),
            [PointerStep::Index(index), PointerStep::Name(name), ..] => {
                format!("{}[{index}]", shown(name, NAME_CHARACTERS_MAX))
            }
            [PointerStep::Index(index), ..] => format!("[{index}]"),
            [PointerStep::Name(name), ..] => shown(name, NAME_CHARACTERS_MAX),
        };
        write!(f, "{part} {}", self.problem)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::new(problem.to_string())
    }

    /// The found value is not shown: it may be a private key in the place of another member.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "a boolean".to_owned(),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            Unexpected::Float(number) => format!("the number {number}"),
            Unexpected::Str(_) => "a string".to_owned(),
            Unexpected::Unit => "null".to_owned(),
            Unexpected::Seq => "an array".to_owned(),
            _ => "an object".to_owned(),
        };
        Self::wrong(&found, &expected.to_string())
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Str(text) => Self::wrong(&shown_quoted(text), &expected.to_string()),
            other => Self::invalid_type(other, expected),
        }
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        Self::wrong(&shown_quoted(found), &one_of(expected))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("is unknown here: use {}", one_of(expected)))
    }
}

fn one_of(words: &[&str]) -> String {
    format!("one of {}", words.join(", "))
}

/// Returns text of a client, bounded.
fn shown(text: &str, characters_max: usize) -> String {
    let mut start: String = text.chars().take(characters_max).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

/// Returns text of a client, bounded, quoted and escaped.
pub(crate) fn shown_quoted(text: &str) -> String {
    format!("{:?}", shown(text, VALUE_CHARACTERS_MAX))
}

/// A value, or [`None`] for a member that is not there: derived code would report only its name,
/// and this reports the value that belongs there too.
struct Part<'de>(Option<&'de Value>);

impl Part<'_> {
    fn is_not(&self, expected: &str) -> Misfit {
        let found = match self.0 {
            None => return Misfit::wrong("missing", expected),
            Some(Value::Null) => Unexpected::Unit,
            Some(Value::Bool(value)) => Unexpected::Bool(*value),
            Some(Value::Number(number)) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
            Some(Value::String(text)) => Unexpected::Str(text),
            Some(Value::Array(_)) => Unexpected::Seq,
            Some(Value::Object(_)) => Unexpected::Map,
        };
        de::Error::invalid_type(found, &expected)
    }
}

impl<'de> Deserializer<'de> for Part<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let Some(value) = self.0 else {
            let expected: &dyn Expected = &visitor;
            return Err(self.is_not(&expected.to_string()));
        };
        match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => visitor.visit_i64(number),
                (None, Some(number)) => visitor.visit_u64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Object(members) => visitor.visit_map(Members::new(members, &[])),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            None | Some(Value::Null) => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Some(Value::Object(members)) => visitor.visit_map(Members::new(members, names)),
            _ => Err(self.is_not("an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Some(Value::String(word)) => visitor.visit_enum(word.as_str().into_deserializer()),
            _ => Err(self.is_not(&one_of(words))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The items of an array.
struct Items<'de>(Enumerate<slice::Iter<'de, Value>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        let read = seed.deserialize(Part(Some(item)));
        read.map(Some)
            .map_err(|error| error.below(PointerStep::Index(index)))
    }
}

/// The members of an object, then the names of its struct that are absent. A null member of a
/// struct counts as absent too.
struct Members<'de> {
    is_struct: bool,
    present: map::Iter<'de>,
    absent: Vec<&'static str>,
    next: (&'de str, Option<&'de Value>),
}

impl<'de> Members<'de> {
    fn new(members: &'de Map<String, Value>, names: &[&'static str]) -> Self {
        let is_absent = |name: &&'static str| !members.contains_key(*name);
        Self {
            is_struct: !names.is_empty(),
            present: members.iter(),
            absent: names.iter().rev().copied().filter(is_absent).collect(),
            next: ("", None),
        }
    }

    fn here(&self) -> PointerStep {
        PointerStep::Name(self.next.0.to_owned())
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.next = match self.present.next() {
            Some((name, value)) => (name, Some(value)),
            None => match self.absent.pop() {
                Some(name) => (name, None),
                None => return Ok(None),
            },
        };
        let key = seed.deserialize(BorrowedStrDeserializer::new(self.next.0));
        key.map(Some)
            .map_err(|error: Misfit| error.below(self.here()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let counts = |value: &&Value| !(self.is_struct && value.is_null());
        let read = seed.deserialize(Part(self.next.1.filter(counts)));
        read.map_err(|error| error.below(self.here()))
    }
}

#[cfg(test)]
mod tests {
    use certgate_wire::{CreateClientCertificate, CreateToken, ReplaceHostnameAssociations};
    use serde_json::json;

    use super::*;

    fn told<T: DeserializeOwned + fmt::Debug>(value: Value) -> String {
        let misfit = read::<T>(&value).unwrap_err();
        let told = format!("{}: {misfit}", misfit.pointer());
        told.replace(": send", ":\n    send")
    }

    #[test]
    fn an_error_names_the_member_and_the_value_that_belongs_there() {
        let cases = [
            json!(7),
            json!({}),
            json!({ "csr": null, "validity_days": 1 }),
            json!({ "csr": "x", "validity_days": "1" }),
            json!({ "csr": "x", "validity_days": 1.5 }),
            json!({ "csr": ["x"], "validity_days": 1 }),
        ];
        insta::assert_snapshot!(
            cases.map(told::<CreateClientCertificate<'static>>).join("\n"),
            @r#"
            : The body is the number 7:
                send an object
            /csr: csr is missing:
                send a string
            /csr: csr is missing:
                send a string
            /validity_days: validity_days is a string:
                send a whole number
            /validity_days: validity_days is the number 1.5:
                send a whole number
            /csr: csr is an array:
                send a string
            "#
        );
    }

    #[test]
    fn an_error_names_the_place_in_arrays_and_objects() {
        let policy = |member: &str, value: Value| {
            let mut policy = json!({ "effect": "allow", "permission_groups": [], "resources": {} });
            policy[member] = value;
            json!({ "name": "x", "policies": [policy] })
        };
        let condition = |value: Value| json!({ "name": "x", "policies": [], "condition": value });
        let cases = [
            json!({ "name": "x", "policies": [7] }),
            policy("effect", json!("maybe")),
            policy("effect", json!(true)),
            policy("permission_groups", json!([{ "id": "7" }])),
            policy("permission_groups", json!([{}])),
            policy("resources", json!({ "a/b~c": "*" })),
            policy(
                "resources",
                json!({ "com.cloudflare.api.account.*": "read" }),
            ),
            policy(
                "resources",
                json!({ "com.cloudflare.api.account.*": { "x": "*" } }),
            ),
            condition(json!({ "request-ip": {} })),
            condition(json!({ "request_ip": { "in": ["10.0.0.0/33"] } })),
        ];
        insta::assert_snapshot!(cases.map(told::<CreateToken<'static>>).join("\n"), @r#"
        /policies/0: policies[0] is the number 7:
            send an object
        /policies/0/effect: effect is "maybe":
            send one of allow, deny
        /policies/0/effect: effect is a boolean:
            send one of allow, deny
        /policies/0/permission_groups/0/id: id is "7":
            send an ID of GET /user/tokens/permission_groups
        /policies/0/permission_groups/0/id: id is missing:
            send an ID of GET /user/tokens/permission_groups
        /policies/0/resources/a~1b~0c: a/b~c is not a resource:
            send a name such as com.cloudflare.api.account.zone.*
        /policies/0/resources/com.cloudflare.api.account.*: com.cloudflare.api.account.* is "read":
            send "*", or for an account an object of its zones
        /policies/0/resources/com.cloudflare.api.account.*/x: x is not a resource:
            send a name such as com.cloudflare.api.account.zone.*
        /condition/request-ip: request-ip is unknown here: use one of request.ip, request_ip
        /condition/request_ip/in/0: in[0] is "10.0.0.0/33":
            send an address or a block such as 192.0.2.0/24 or 2001:db8::/32
        "#);
    }

    #[test]
    fn null_counts_as_absent_where_a_member_is_optional() {
        let value = json!({ "hostnames": null, "other": 7 });
        let read = read::<ReplaceHostnameAssociations<'static>>(&value).unwrap();
        assert!(read.hostnames.is_none() && read.mtls_certificate_id.is_none());
    }
}
