//! Reads the answers of the query protocol.

use fleet::Timestamp;
use roxmltree::{Document, Node};

/// A child element of this name, whatever its namespace.
pub(super) fn child<'a, 'i>(of: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    of.children().find(|node| node.tag_name().name() == name)
}

/// The text of a child element; `None` where there is none or it is empty.
pub(super) fn text<'a>(of: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(of, name).and_then(|node| node.text()).map(str::trim).filter(|text| !text.is_empty())
}

/// The elements of a list among the children of an element.
pub(super) fn items<'a, 'i>(of: Node<'a, 'i>, list: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    child(of, list).into_iter().flat_map(|list| list.children().filter(Node::is_element))
}

/// The elements of the first list of this name anywhere in an answer.
pub(super) fn listed<'a, 'i>(
    page: &'a Document<'i>,
    list: &str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    let list = page.descendants().find(|node| node.tag_name().name() == list);
    list.into_iter().flat_map(|list| list.children().filter(Node::is_element))
}

/// Where the next page begins.
pub(super) fn marker(page: &Document<'_>) -> Option<String> {
    let result = page.root_element().children().find(|node| {
        let name = node.tag_name().name();
        name.ends_with("Result")
    })?;
    text(result, "NextMarker").or_else(|| text(result, "Marker")).map(str::to_owned)
}

/// A moment as the query protocol writes it: `2026-03-02T12:00:00.000Z`.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    use aws_smithy_types::date_time::{DateTime, Format};
    DateTime::from_str(text, Format::DateTimeWithOffset).ok().map(|at| Timestamp(at.secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_markers_and_moments_are_found_in_any_namespace() {
        let page = "<R xmlns=\"urn:x\"><DescribeDBInstancesResult><DBInstances><DBInstance><A>1</A>\
                    </DBInstance><DBInstance><A> </A></DBInstance></DBInstances>\
                    <Marker>next</Marker></DescribeDBInstancesResult></R>";
        let page = Document::parse(page).unwrap();
        let texts: Vec<_> = listed(&page, "DBInstances").map(|node| text(node, "A")).collect();
        assert_eq!(texts, [Some("1"), None]);
        assert_eq!(marker(&page).as_deref(), Some("next"));
        assert_eq!(moment("2026-03-02T12:00:00.5Z"), Some(Timestamp(1_772_452_800)));
        assert_eq!(moment("2026-03-02T12:00:00+00:00"), Some(Timestamp(1_772_452_800)));
        assert_eq!(moment("soon"), None);
    }
}
