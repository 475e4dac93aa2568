//! The keys of schedules, one section for each grammar of hours.

use fleet::Seconds;

use super::idle;
use super::{Key, Kind, Preset, Rule, Section, Shape};
use super::{example, preset, sections};

/// The hours of a day, counted from 0.
const LAST_HOUR: u64 = 23;

sections! {
    /// When machines are to be up, with the hours in this file.
    zh "机器应在何时运行，时段写在本文件中。";
    own "`[[schedule]]`" at ["schedule"]
    takes [schedule::SECTION, idle::shared::SECTION, idle::select::SECTION]
    rules [Rule::NeededWhere(&GRAMMAR, &["neap"], &[&idle::select::MATCH])]
    example "[[schedule]]\nname = \"office-hours\"\nmode = \"observe\"\nmatch = { tags = { schedule = [\"office\"] } }\ntimezone = \"Asia/Shanghai\"\nup = \"Mon-Fri 08:30-20:00\"\n"
    {
        /// Where the hours are: in this file (`neap`), or in tags in the grammar of Cloud
        /// Custodian's off-hours (`cloud-custodian`), see below.
        zh "时段写在哪里：本文件（`neap`），或标签中（`cloud-custodian`，采用 Cloud Custodian off-hours 语法，见下文）。";
        GRAMMAR "grammar": Kind::Only("\"neap\""), [= "neap"], "neap";
        /// When machines are to be up: a window, or a list of them. `working_days` and
        /// `rest_days` in place of weekdays are those of `calendar`.
        zh "机器应运行的时段，一个或多个。可用 `working_days` 和 `rest_days` 代替星期几，以 `calendar` 为准。";
        UP "up": Kind::Either(&[Kind::Shaped(Shape::UP), Kind::List(&Kind::Shaped(Shape::UP))]), [required], "Mon-Fri 08:30-20:00";
        /// The zone of the hours.
        zh "时段所用的时区。";
        TIMEZONE "timezone": Kind::Shaped(Shape::ZONE), ["the calendar's; required without `calendar`", "日历的时区；没有 `calendar` 时必填"], "Asia/Shanghai";
        /// The `[calendar.NAME]` that knows days of rest and holidays.
        zh "知道休息日和节假日的 `[calendar.NAME]`。";
        CALENDAR "calendar": Kind::Text, ["none", "没有"], "cn";
        /// Dates on which other hours hold.
        zh "采用其他时段的日期。";
        EXCEPTIONS "exceptions": Kind::Tables(&[&exception::SECTION]), ["none", "没有"], _;
    }

    /// Keys of every schedule, whatever its grammar.
    zh "所有时间表的键，与语法无关。";
    schedule "Keys of schedules" or "时间表的键" at ["schedule"]
    example "[[schedule]]\nname = \"office-hours\"\nkind = \"stop-only\"\nmatch = { tags = { schedule = [\"office\"] } }\ntimezone = \"Asia/Shanghai\"\nup = \"Mon-Fri 08:30-20:00\"\n"
    {
        /// Its name. No other rule or schedule of the file may have it.
        zh "名称，不得与文件中其他规则或时间表相同。";
        NAME "name": Kind::Text, [required], "office-hours";
        /// Whether it starts and stops, only stops, or only starts.
        zh "既启动又停止、只停止，或只启动。";
        KIND "kind": Kind::Choice(&["both", "stop-only", "start-only"]), [= "both"], "stop-only";
        /// A running machine is stopped at its hour only if its last hour kept these limits.
        zh "到点时，仅当机器最近一小时未超过这些上限才停止。";
        ONLY_IF_IDLE "only_if_idle": Kind::Table(&idle::limits::SECTION), ["it stops by the clock alone", "只按时钟停止"], _;
        /// How long before its hour a machine is started, until neap has measured how long it
        /// takes to be up.
        zh "提前多久启动机器，直到 neap 测得其启动耗时。";
        START_LEAD "start_lead": Kind::Duration(Seconds::ZERO, Seconds::hours(2)), [= "5m"], "10m";
        /// How long a start is tried before people are told that a machine does not come back.
        zh "启动尝试多久仍不成功就通知人。";
        START_ESCALATION "start_escalation": Kind::Duration(Seconds::minutes(1), Seconds::days(1)), [= "30m"], "1h";
        /// The tag that holds the order, a whole number. Lower numbers start first and stop last.
        zh "写有顺序（整数）的标签。数字小的先启动、后停止。";
        ORDER_TAG "order_tag": Kind::Text, ["no order", "不分顺序"], "start-order";
        /// What the schedule may stop at once.
        zh "时间表一次可停止的数量。";
        BLAST_RADIUS "blast_radius": Kind::Table(&idle::radius::SECTION), ["no limit, because what the clock orders is foreseen", "不设上限，因为按时钟执行的是预定的"], _;
    }

    /// A date on which other hours hold.
    zh "采用其他时段的日期。";
    exception "`exceptions` of `[[schedule]]`" or "`[[schedule]]` 的 `exceptions`" at ["schedule", "exceptions"]
    example "[[schedule]]\nname = \"office-hours\"\nmatch = { tags = { schedule = [\"office\"] } }\ntimezone = \"Asia/Shanghai\"\nup = \"Mon-Fri 08:30-20:00\"\nexceptions = [{ date = \"2026-12-24\", up = \"none\" }]\n"
    {
        /// The date, each only once.
        zh "日期，每个日期只能出现一次。";
        DATE "date": Kind::Shaped(Shape::DATE), [required], "2026-12-24";
        /// The hours of that day, one or a list, or `none`.
        zh "当天的时段，一个或多个，或 `none`。";
        UP "up": Kind::Either(&[Kind::Shaped(Shape::DAY_HOURS), Kind::List(&Kind::Shaped(Shape::DAY_HOURS))]), [required], "08:00-12:00";
    }

    /// When machines are to be up, with the hours in tags, in the grammar of Cloud Custodian's
    /// off-hours. The keys have the names and defaults of its filters.
    zh "机器应在何时运行，时段写在标签中，采用 Cloud Custodian off-hours 语法。键的名称和默认值与其过滤器一致。";
    custodian "`[[schedule]]` with `grammar = \"cloud-custodian\"`" or "`[[schedule]]`，`grammar = \"cloud-custodian\"`" at ["schedule"]
    takes [schedule::SECTION, idle::shared::SECTION, idle::select::SECTION]
    example "[[schedule]]\nname = \"off-hours\"\ngrammar = \"cloud-custodian\"\ndefault_tz = \"America/New_York\"\ntag = \"maid_offhours\"\n"
    {
        /// Marks the schedule as one whose hours are in tags.
        zh "标明时段写在标签中。";
        GRAMMAR "grammar": Kind::Only("\"cloud-custodian\""), [required], "cloud-custodian";
        /// The zone of tags that name none.
        zh "标签未写明时区时所用的时区。";
        DEFAULT_TZ "default_tz": Kind::Shaped(Shape::CUSTODIAN_ZONE), [required], "pt";
        /// The tag that holds the hours.
        zh "写有时段的标签。";
        TAG "tag": Kind::Text, [= "maid_offhours"], "downtime";
        /// The tag that holds the hours to stop, where it is another.
        zh "写有停止时段的标签（若不同）。";
        STOP_TAG "stop_tag": Kind::Text, ["what `tag` says", "以 `tag` 为准"], "stop_after";
        /// The tag that holds the hours to start, where it is another.
        zh "写有启动时段的标签（若不同）。";
        START_TAG "start_tag": Kind::Text, ["what `tag` says", "以 `tag` 为准"], "start_after";
        /// The hour to start, for tags that name none.
        zh "标签未写明时的启动小时。";
        ONHOUR "onhour": Kind::Whole(0, LAST_HOUR), [= 7], 8, in "hour of the day" "一天中的小时";
        /// The hour to stop, for tags that name none.
        zh "标签未写明时的停止小时。";
        OFFHOUR "offhour": Kind::Whole(0, LAST_HOUR), [= 19], 20, in "hour of the day" "一天中的小时";
        /// Whether machines stay down for the weekend.
        zh "周末是否保持停机。";
        WEEKENDS "weekends": Kind::Flag, [= true], false;
        /// Whether machines are down for the weekend only.
        zh "是否只在周末停机。";
        WEEKENDS_ONLY "weekends_only": Kind::Flag, [= false], true;
        /// Whether resources without the tag have these hours too. Then `match` is required.
        zh "没有该标签的资源是否也采用这些时段。若是，则 `match` 必填。";
        OPT_OUT "opt_out": Kind::Flag, [= false], true;
        /// What a resource without the tag is taken to say. Then `match` is required.
        zh "没有该标签的资源视为写有此值。此时 `match` 必填。";
        FALLBACK_SCHEDULE "fallback_schedule": Kind::Text, ["nothing", "没有"], "off=(M-F,19);on=(M-F,7)";
        /// Dates on which nothing is switched.
        zh "不做开关的日期。";
        SKIP_DAYS "skip_days": Kind::Either(&[Kind::Shaped(Shape::DATE), Kind::List(&Kind::Shaped(Shape::DATE))]), ["none", "没有"], ["2026-12-25"];
    }
}
