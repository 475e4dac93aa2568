//! Fields that are no part of the bytes of what has them: whoever stores it puts them behind it.
//!
//! Bytes are positional, and what was stored before there was such a field stays readable. What is read
//! by names has the field like any other.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What needs no place by its name, either.
pub fn is_nothing<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

/// Nothing among bytes, the field by its name.
///
/// # Errors
/// Where the field cannot be written.
pub fn serialize<T: Serialize, S: Serializer>(field: &T, to: S) -> Result<S::Ok, S::Error> {
    if to.is_human_readable() { field.serialize(to) } else { ().serialize(to) }
}

/// The default from bytes, the field by its name.
///
/// # Errors
/// Where the field cannot be read.
pub fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    if from.is_human_readable() { T::deserialize(from) } else { Ok(T::default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        before: u8,
        #[serde(
            default,
            with = "crate::behind",
            skip_serializing_if = "crate::behind::is_nothing"
        )]
        more: Vec<u8>,
        after: u8,
    }

    #[test]
    fn it_takes_no_byte_and_is_read_by_its_name() {
        let thing = Thing { before: 1, more: vec![2, 3], after: 4 };
        let bytes = postcard::to_stdvec(&thing).unwrap();
        assert_eq!(bytes, [1, 4]);
        let read: Thing = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(read, Thing { before: 1, more: Vec::new(), after: 4 });
        let text = serde_json::to_string(&thing).unwrap();
        assert_eq!(serde_json::from_str::<Thing>(&text).unwrap(), thing);
        assert!(
            serde_json::from_str::<Thing>("{\"before\":1,\"after\":4}").unwrap().more.is_empty()
        );
    }
}
