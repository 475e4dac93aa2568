//! Going through several maps of services side by side, without looking every name up.

use std::iter::Peekable;

use fleet::ServiceName;

/// A place in the sorted entries of a map of services that is asked for names in rising order.
pub(crate) struct Cursor<I: Iterator> {
    rest: Peekable<I>,
}

impl<'a, V, I: Iterator<Item = (&'a ServiceName, V)>> Cursor<I> {
    /// Reads `entries`, which must rise by name.
    pub fn over(entries: impl IntoIterator<IntoIter = I>) -> Cursor<I> {
        Cursor { rest: entries.into_iter().peekable() }
    }

    /// The value of `name`, which must not be lower than one asked for before.
    pub fn at(&mut self, name: &ServiceName) -> Option<V> {
        while self.rest.next_if(|(key, _)| *key < name).is_some() {}
        self.rest.next_if(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
