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
        // Mostly it is the next one, and the same piece of text: that is told without reading it.
        while self.rest.peek().is_some_and(|(key, _)| *key != name && *key < name) {
            self.rest.next();
        }
        self.rest.next_if(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
