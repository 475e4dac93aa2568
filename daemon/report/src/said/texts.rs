//! Texts that stand in records as texts: what planner, adapters and daemon say of a detail.
//!
//! A record keeps them as they were written, so they are known by their English. What is not in
//! this book, such as the answer of a cloud, a name or somebody's reason, stays as it is. A test
//! holds the English against the sources that write it.

/// English and Chinese; `{0}`, `{1}`, `{2}` stand for what differs, in the order of the English; it
/// is translated in turn.
const BOOK: &[(&str, &str)] = &[
    // Kill switch.
    ("`{0}` exists", "`{0}` 存在"),
    ("`{0}` cannot be checked: {1}", "无法检查 `{0}`：{1}"),
    // Demand and forecasts.
    ("demand of {0} at {1}", "{1} 的需求为 {0}"),
    ("its values cannot be demand", "它的值不可能是需求"),
    ("its levels and values do not match", "它的分位与值不相符"),
    // Somebody else's change.
    ("its size between our look and our call", "规模，在我们观察与调用之间"),
    ("its desired capacity, by {0}", "期望容量，来自 {0}"),
    ("its minimum, by {0}", "最小值，来自 {0}"),
    ("its maximum, by {0}", "最大值，来自 {0}"),
    ("a scheduled action", "定时任务"),
    ("a user's request", "用户请求"),
    ("somebody the cloud does not name", "云未指明的人"),
    // What could keep a machine from coming back, and what a stop loses.
    ("type `{0}` is scarce", "规格 `{0}` 稀缺"),
    ("type `{0}` is bare metal", "规格 `{0}` 为裸金属"),
    (
        "{0} of {1} starts of this type in this zone found no capacity",
        "此可用区该规格 {1} 次开机中有 {0} 次库存不足",
    ),
    (
        "a spot machine starts only while there is spare capacity",
        "抢占式实例只有在库存有余时才能开机",
    ),
    ("its public address changes", "公网地址会变"),
    ("its CPU credits may be lost", "CPU 积分可能丢失"),
    // Why a person has to agree.
    ("databases are never stopped without a person", "数据库必须由人批准才停机"),
    ("the rule asks for it", "规则如此要求"),
    ("the schedule asks for it", "排程如此要求"),
    (
        "{0} of the rule's {1} stops were taken back by hand",
        "规则的 {1} 次停机中有 {0} 次被人手动恢复",
    ),
    // How much is stopped at once.
    ("account {0}", "账号 {0} "),
    ("rule `{0}` in account {1}", "规则 `{0}` 在账号 {1} "),
    ("group `{0}` of rule `{1}`", "规则 `{1}` 的组 `{0}` "),
    // Why something is left alone.
    ("{0} asked for it", "由 {0} 要求"),
    ("{0} said no to a stop", "{0} 拒绝停机"),
    (
        "somebody started it again after rule `{0}` had stopped it",
        "规则 `{0}` 停机之后，有人又将其开机",
    ),
    // What was read, or was not.
    ("what it did", "它的使用情况"),
    ("nothing", "未知对象"),
    ("scaling group: {0}", "伸缩组：{0}"),
    ("target groups: {0}", "目标组：{0}"),
    ("local disks: {0}", "本地盘：{0}"),
    ("accelerators: {0}", "加速器：{0}"),
    ("forwarding: {0}", "流量转发：{0}"),
    ("purchase: {0}", "付费方式：{0}"),
    ("stop protection: {0}", "停机保护：{0}"),
    ("termination protection: {0}", "释放保护：{0}"),
    ("alarms: {0}", "告警：{0}"),
    ("replica: {0}", "副本：{0}"),
    ("billing: {0}", "计费：{0}"),
    ("hibernation: {0}", "休眠：{0}"),
    ("public address: {0}", "公网地址：{0}"),
    ("burst credits: {0}", "CPU 积分：{0}"),
    ("not read yet", "尚未读取"),
    ("nothing is known of it at {0}", "{0} 时尚不清楚"),
    ("no samples", "没有样本"),
    ("no sample of {0}", "{0} 没有样本"),
    ("{0} is {1}, limit {2}", "{0} 为 {1}，上限 {2}"),
    ("stop protection", "停机保护"),
    ("termination protection", "释放保护"),
    ("tag `{0}`", "标签 `{0}`"),
    ("name `{0}`", "名称 `{0}`"),
    ("replica of the cluster `{0}`", "集群 `{0}` 的副本"),
    ("replica of `{0}`", "`{0}` 的副本"),
    ("member of the cluster `{0}`", "集群 `{0}` 的成员"),
    ("source of the replicas `{0}`", "副本 `{0}` 的源"),
    ("targets in service: {0} of {1}", "在役目标：{0}/{1}"),
    ("backends in service: {0} of {1}", "在役后端：{0}/{1}"),
    ("servers registered: {0} in {1} server groups", "{1} 个服务器组中注册的服务器：{0}"),
    ("attachments", "挂载"),
    ("associations", "绑定"),
    ("association", "绑定"),
    ("images made from it", "由它制作的镜像"),
    ("images, source volume", "镜像、源云盘"),
    ("its disk, images", "它的云盘、镜像"),
    ("what it is bound to", "绑定对象"),
    // What a stop saves, or does not.
    ("subscription", "包年包月"),
    ("dedicated host", "专有宿主机"),
    ("its root is an instance store: it cannot be stopped", "系统盘为实例存储，无法停机"),
    ("on a dedicated host", "位于专有宿主机"),
    ("in a capacity reservation", "位于容量预留"),
    ("not in a VPC", "不在 VPC 中"),
    ("its disks", "云盘"),
    ("its elastic address", "弹性公网地址"),
    ("its backups", "备份"),
    ("all of it: {0}", "全部：{0}"),
    ("simulated cloud", "模拟云"),
    ("AWS price list", "AWS 价目表"),
    // The last look.
    ("it is gone", "已不存在"),
    // What an answer is about, and why it is not taken.
    ("service `{0}`", "服务 `{0}`"),
    ("rule `{0}`", "规则 `{0}`"),
    ("{0} services, {1} rules", "{0} 个服务，{1} 条规则"),
    (
        "service `{0}` (which acts once {1} `mode` is `act`)",
        "服务 `{0}`（{1} `mode` 设为 `act` 后才执行）",
    ),
    (
        "rule `{0}` (which acts once {1} `mode` is `act`)",
        "规则 `{0}`（{1} `mode` 设为 `act` 后才执行）",
    ),
    ("`{0}` is a rule, and a canary is of a service", "`{0}` 是规则，金丝雀只用于服务"),
    ("its", "它的"),
    ("the global", "全局的"),
    (
        "nothing waits for approval `{0}`: the world may have moved on; `neap idle` shows what waits",
        "没有等待审批的 `{0}`：情况可能已变；`neap idle` 显示等待的内容",
    ),
    (
        "offer `{0}` is void: configuration, stage or day of the scorecard are others by now; \
         `neap promote` shows what is offered",
        "晋级方案 `{0}` 已失效：配置、阶段或成绩单的日期已变；`neap promote` 显示现有方案",
    ),
    ("no resource `{0}` was seen at the last look", "上次观察时没有资源 `{0}`"),
    ("no service or rule `{0}`; there are {1}", "没有服务或规则 `{0}`；现有 {1}"),
    ("`{0}` is there already: {1}", "`{0}` 已处于该阶段：{1}"),
    ("canary of {0}", "金丝雀（{0}）"),
    ("promoted", "已晋级"),
    ("shadow", "影子"),
    (
        "`{0}` needs no promotion: its `mode` alone decides",
        "`{0}` 不需要晋级：只由它的 `mode` 决定",
    ),
    (
        "rule `{0}` needs no promotion: its `mode` alone decides",
        "规则 `{0}` 不需要晋级：只由它的 `mode` 决定",
    ),
    ("the daemon is ending", "守护进程正在退出"),
    ("a look takes too long, try again", "观察耗时过长，请重试"),
];

/// A text in Chinese, as far as it is known.
pub(super) fn text(english: &str) -> String {
    let known = BOOK.iter().find_map(|(from, to)| Some((gaps(from, english)?, *to)));
    let Some((gaps, to)) = known else { return english.to_owned() };
    let mut parts = to.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((index, rest)) = part.split_once('}') else { continue };
        let gap = index.parse::<usize>().ok().and_then(|index| gaps.get(index));
        text.push_str(&gap.map_or_else(String::new, |gap| self::text(gap)));
        text.push_str(rest);
    }
    text
}

/// What stands in the gaps of a pattern, where the text is of it.
fn gaps<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = pieces(pattern);
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut gaps = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let end = match pieces.peek() {
            // The last piece is the end of the text.
            None => rest.len().checked_sub(piece.len()).filter(|_| rest.ends_with(piece))?,
            Some(_) => rest.find(piece)?,
        };
        gaps.push(&rest[..end]);
        rest = &rest[end + piece.len()..];
    }
    (rest.is_empty() && gaps.iter().all(|gap| !gap.is_empty())).then_some(gaps)
}

/// What stands around the gaps.
fn pieces(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split(['{', '}']).step_by(2)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("texts.rs")
            {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn what_the_book_knows_is_what_is_written() {
        let mut written = String::new();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in [
            "../../planner/src",
            "../../providers/src",
            "../../fleet/src",
            "../neap/src",
            "../journal/src",
            "../shadow/src",
            "src",
        ] {
            sources(&here.join(folder), &mut written);
        }
        // As the compiler reads a text that goes on in the next line.
        let written: String = written.split("\\\n").map(str::trim_start).collect();
        for (english, chinese) in BOOK {
            for piece in pieces(english) {
                // Some is put together where it is written: a name that a colon follows, and who.
                for part in piece.split(", ") {
                    let part = part.trim_matches(|c: char| !c.is_alphabetic());
                    assert!(written.contains(part), "nobody writes `{part}` of `{english}`");
                }
            }
            for gap in ["{0}", "{1}", "{2}"] {
                assert_eq!(english.contains(gap), chinese.contains(gap), "{english}");
            }
            let quoted = |text: &str| text.split('`').skip(1).step_by(2).count();
            assert_eq!(quoted(english), quoted(chinese), "{english}");
            let plain: String = chinese.split('`').step_by(2).collect();
            let latin =
                ["AWS", "CPU", "VPC"].iter().fold(plain, |text, name| text.replace(name, ""));
            assert!(!latin.chars().any(|c| c.is_ascii_alphabetic()), "{chinese}");
        }
    }

    #[test]
    fn gaps_are_filled_and_what_is_unknown_stays() {
        assert_eq!(text("type `p4d.24xlarge` is scarce"), "规格 `p4d.24xlarge` 稀缺");
        let starts = "3 of 12 starts of this type in this zone found no capacity";
        assert_eq!(text(starts), "此可用区该规格 12 次开机中有 3 次库存不足");
        assert_eq!(text("all of it: subscription"), "全部：包年包月");
        assert_eq!(text("its minimum, by a scheduled action"), "最小值，来自 定时任务");
        assert_eq!(text("billing: not read yet"), "计费：尚未读取");
        let of_cloud = "AccessDenied: not authorized to perform";
        assert_eq!(text(of_cloud), of_cloud);
        assert_eq!(text(""), "");
        assert_eq!(text("tag ``"), "tag ``", "a gap holds something");
    }
}
