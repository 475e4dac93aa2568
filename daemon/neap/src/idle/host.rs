//! The instance that neap itself runs on: it is never stopped.

use std::path::Path;

/// Where a machine's own id stands: the board's asset tag on EC2 Nitro, and what cloud-init kept.
const PLACES: [&str; 2] = ["/sys/class/dmi/id/board_asset_tag", "/var/lib/cloud/data/instance-id"];

/// The id of the instance that this process runs on, where it runs on one.
pub fn own_instance_id() -> Option<String> {
    PLACES.iter().find_map(|place| read(Path::new(place)))
}

fn read(place: &Path) -> Option<String> {
    let text = std::fs::read_to_string(place).ok()?;
    let id = text.trim();
    let is_id = id.starts_with("i-") && id[2..].chars().all(|c| c.is_ascii_alphanumeric());
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_taken_and_a_board_name_is_not() {
        let folder = tempfile::TempDir::new().unwrap();
        for (text, id) in [
            ("i-0123456789abcdef0\n", Some("i-0123456789abcdef0")),
            ("i-bp1f5ps0qy8tbl6ypn2c", Some("i-bp1f5ps0qy8tbl6ypn2c")),
            ("Not Specified\n", None),
            ("i-../../etc", None),
        ] {
            let place = folder.path().join("id");
            std::fs::write(&place, text).unwrap();
            assert_eq!(read(&place).as_deref(), id, "{text}");
        }
    }
}
