//! A JSON Schema of the configuration, for editors: draft 7, which editors of TOML take.

use serde_json::{Map, Value, json};

use super::keys::{Key, Kind, Preset, Rule, Section, Shape, all_sections, root};

/// Text of at least one character that is not blank.
const NOT_BLANK: &str = r"\S";

/// The schema of a file.
pub fn schema() -> Value {
    let definitions: Map<String, Value> =
        all_sections().into_iter().map(|section| (id(section), table(section))).collect();
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of neap",
        "definitions": definitions,
    });
    if let (Value::Object(schema), Value::Object(top)) = (&mut schema, table(&root::top::SECTION)) {
        schema.extend(top);
    }
    schema
}

/// What a section is known by, in definitions and in links: its heading in lower case, with `-` for
/// all that is no letter or digit.
pub(super) fn id(section: &Section) -> String {
    let lower = section.heading.to_ascii_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn table(section: &Section) -> Value {
    let keys = || section.all_keys();
    let properties: Map<String, Value> =
        keys().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> =
        keys().filter(|key| matches!(key.preset, Preset::Required)).map(|key| key.name).collect();
    let mut table = json!({
        "type": "object",
        "description": one_line(section.text),
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    if !section.rules.is_empty() {
        table["allOf"] = section.rules.iter().map(rule).collect();
    }
    table
}

fn property(key: &Key) -> Value {
    let mut property = kind(&key.kind);
    // Beside a reference draft 7 takes nothing; the table describes itself.
    if property.get("$ref").is_some() {
        return property;
    }
    property["description"] = Value::String(described(key));
    if let Preset::Is(text) = key.preset {
        property["default"] = of_toml(text);
    }
    if !key.example.is_empty() {
        property["examples"] = json!([of_toml(key.example)]);
    }
    property
}

fn described(key: &Key) -> String {
    let unit = key.unit.map_or_else(String::new, |[unit, _]| format!(" Unit: {unit}."));
    let preset = match key.preset {
        Preset::Required => " Required.".to_owned(),
        Preset::Is(value) => format!(" Default: {value}."),
        Preset::Told(text, _) => format!(" Default: {text}."),
    };
    one_line(key.text) + &unit + &preset
}

fn kind(of: &Kind) -> Value {
    let shaped = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match of {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Only(text) => json!({ "const": of_toml(text) }),
        Kind::Text | Kind::Path => shaped(NOT_BLANK),
        Kind::Shaped(shape) => shaped(shape.pattern),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Whole(least, most) if *most > i64::MAX as u64 => {
            json!({ "type": "integer", "minimum": least })
        }
        Kind::Whole(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Positive => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Kind::NotNegative => json!({ "type": "number", "minimum": 0 }),
        Kind::Percent => json!({ "type": "number", "minimum": 0, "maximum": 100 }),
        Kind::Duration(..) => shaped(Shape::DURATION),
        Kind::LocalTime => shaped(Shape::LOCAL_TIME),
        Kind::Either(kinds) => {
            let kinds: Vec<Value> = kinds.iter().map(kind).collect();
            json!({ "anyOf": kinds })
        }
        Kind::List(of) => json!({ "type": "array", "items": kind(of) }),
        Kind::Map(of) => json!({ "type": "object", "additionalProperties": kind(of) }),
        Kind::Table(section) => reference(section),
        Kind::Tables(sections) => json!({ "type": "array", "items": one_of(sections) }),
        Kind::Named(sections) => {
            json!({ "type": "object", "additionalProperties": one_of(sections) })
        }
    }
}

fn reference(section: &Section) -> Value {
    json!({ "$ref": format!("#/definitions/{}", id(section)) })
}

fn one_of(sections: &[&Section]) -> Value {
    match sections {
        [section] => reference(section),
        sections => {
            let each: Vec<Value> = sections.iter().map(|section| reference(section)).collect();
            json!({ "oneOf": each })
        }
    }
}

fn names(keys: &[&Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

/// None of these keys.
fn without<'k>(keys: impl Iterator<Item = &'k &'static Key>) -> Value {
    let each: Vec<Value> = keys.map(|key| json!({ "required": [key.name] })).collect();
    json!({ "not": { "anyOf": each } })
}

fn rule(rule: &Rule) -> Value {
    match rule {
        Rule::OneOf(sets) => {
            let each = sets.iter().enumerate().map(|(at, set)| {
                let others = sets.iter().enumerate().filter(|(other, _)| *other != at);
                let mut alone = without(others.flat_map(|(_, set)| set.iter()));
                alone["required"] = json!(names(set));
                alone
            });
            json!({ "oneOf": each.collect::<Vec<Value>>() })
        }
        Rule::Apart(keys, others) => {
            json!({ "anyOf": [without(keys.iter()), without(others.iter())] })
        }
        Rule::AnyOf(keys) => {
            let each: Vec<Value> =
                keys.iter().map(|key| json!({ "required": [key.name] })).collect();
            json!({ "anyOf": each })
        }
        Rule::Together(keys) => {
            let each = keys.iter().map(|key| (key.name.to_owned(), json!(names(keys))));
            json!({ "dependencies": each.collect::<Map<String, Value>>() })
        }
        Rule::OnlyWhere(key, words, keys) => {
            let refused = keys.iter().map(|key| (key.name.to_owned(), Value::Bool(false)));
            let refused: Map<String, Value> = refused.collect();
            json!({ "if": is_one_of(key, words), "else": { "properties": refused } })
        }
        Rule::NeededWhere(key, words, keys) => {
            json!({ "if": is_one_of(key, words), "then": { "required": names(keys) } })
        }
    }
}

/// Whether a key has one of these words, by its default too.
fn is_one_of(key: &Key, words: &[&str]) -> Value {
    let mut condition = json!({ "properties": { key.name: { "enum": words } } });
    let by_default =
        matches!(key.preset, Preset::Is(text) if words.iter().any(|w| of_toml(text) == *w));
    if !by_default {
        condition["required"] = json!([key.name]);
    }
    condition
}

/// A value as TOML spells it.
fn of_toml(text: &str) -> Value {
    let document: Option<toml::Table> = format!("value = {}", one_line(text)).parse().ok();
    document.and_then(|table| table.get("value").map(as_json)).unwrap_or(Value::Null)
}

/// A value of TOML as one of JSON; dates are text there.
pub(super) fn as_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => json!(flag),
        toml::Value::Datetime(at) => json!(at.to_string()),
        toml::Value::Array(members) => members.iter().map(as_json).collect(),
        toml::Value::Table(members) => {
            let members = members.iter().map(|(key, value)| (key.clone(), as_json(value)));
            Value::Object(members.collect())
        }
    }
}

/// Text without line breaks; blanks are folded into one.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
