//! The keys of idle rules and of what they share with schedules.

use fleet::Seconds;

use super::{Key, Kind, Preset, Section, Shape};
use super::{example, preset, sections};

const QUARTER: Seconds = Seconds::days(90);

sections! {
    /// A rule that finds idle resources and may stop them. Start with `mode = "observe"` and read
    /// `neap idle`.
    zh "发现闲置资源并可将其停止的规则。建议先用 `mode = \"observe\"`，查看 `neap idle` 的输出。";
    idle "`[[idle]]`" at ["idle"]
    takes [shared::SECTION, rule::SECTION, select::SECTION]
    example "[[idle]]\nname = \"dev-boxes\"\nmode = \"observe\"\nmatch = { tags = { env = [\"dev\", \"test\"] } }\nidle_when = { cpu_max_percent = 3.0, network_max_kib_per_second = 5.0, for = \"35d\" }\ngrace = \"2d\"\nowner_tag = \"owner\"\n"
    {
        /// Its name. No other rule or schedule of the file may have it.
        zh "名称，不得与文件中其他规则或时间表相同。";
        NAME "name": Kind::Text, [required], "dev-boxes";
        /// Up to where a resource counts as idle, and for how long.
        zh "用量低于多少、持续多久算闲置。";
        IDLE_WHEN "idle_when": Kind::Table(&idle_when::SECTION), ["required for `instance` and `database`", "`instance` 和 `database` 必填"], _;
    }

    /// Keys that hold for every idle rule that does not set them itself. `mode`, `promotion`,
    /// `stop_mode`, `opt_in_tag` and `accept_restart_risk` hold for schedules as well.
    zh "对所有闲置规则生效的键，除非它们自己另行设置。`mode`、`promotion`、`stop_mode`、`opt_in_tag` 和 `accept_restart_risk` 也适用于时间表。";
    idle_defaults "`[idle_defaults]`" at ["idle_defaults"]
    takes [shared::SECTION, rule::SECTION]
    example "[idle_defaults]\ngrace = \"2d\"\nowner_tag = \"owner\"\nprices = \"prices.csv\"\n"
    {
        /// What all rules together may stop in one account.
        zh "所有规则合计在一个账号内可停止的数量。";
        ACCOUNT_BLAST_RADIUS "account_blast_radius": Kind::Table(&radius::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// A resource with this tag is never stopped.
        zh "带有此标签的资源永不停止。";
        PROTECT_TAG "protect_tag": Kind::Text, [= "neap:protect"], "do-not-stop";
        /// A CSV file of prices, with rows
        /// `provider_kind,region,kind,class,platform,hourly,currency,as_of`. What it does not name
        /// has the cloud's list price, or none.
        zh "价格 CSV 文件，每行为 `provider_kind,region,kind,class,platform,hourly,currency,as_of`。未列出的用云端目录价，没有则视为未知。";
        PRICES "prices": Kind::Path, ["the clouds' list prices", "云端目录价"], "prices.csv";
        /// The currency that sums are shown in first.
        zh "合计金额优先以何种货币显示。";
        CURRENCY "currency": Kind::Choice(&["USD", "CNY"]), ["each sum in its own", "各按其自身货币"], "CNY";
        /// How many yuan a US dollar is. With it and `currency`, prices in the other currency are
        /// converted; without it they stay what they are, and no sum mixes the two.
        zh "一美元合多少人民币。同时设置 `currency` 时，另一种货币的价格按此换算；不设置时价格保持原样，两种货币不会相加。";
        CNY_PER_USD "cny_per_usd": Kind::Positive, ["nothing is converted", "不换算"], 7.1, in "yuan" "元";
    }

    /// Keys that may stand in `[[idle]]`, `[[schedule]]` and `[idle_defaults]`.
    zh "可写在 `[[idle]]`、`[[schedule]]` 和 `[idle_defaults]` 中的键。";
    shared "Keys of idle rules, schedules and `[idle_defaults]`" or "闲置规则、时间表和 `[idle_defaults]` 的键" at ["idle_defaults"]
    example "[idle_defaults]\nmode = \"observe\"\nopt_in_tag = \"neap:managed=true\"\n"
    {
        /// Who decides. `observe`: nobody, it is only shown. `approve`: a person, stop by stop.
        /// `act`: the rule. The file's own `mode = "observe"` overrules it.
        zh "由谁决定。`observe`：只展示。`approve`：每次停机由人批准。`act`：由规则决定。文件顶层的 `mode = \"observe\"` 优先。";
        MODE "mode": Kind::Choice(&["observe", "approve", "act"]), [= "observe"], "approve";
        /// `gated`: it stays in shadow until somebody runs `neap promote`. See `[promotion]`.
        zh "`gated`：停留在影子阶段，直到有人执行 `neap promote`。见 `[promotion]`。";
        PROMOTION "promotion": Kind::Choice(&["none", "gated"]), [= "none"], "gated";
        /// How to stop. `stop` and `economical` mean the same: a plain stop, on Alibaba Cloud in
        /// economical mode. `hibernate` stops nothing that cannot hibernate;
        /// `hibernate-if-possible` stops it plainly.
        zh "如何停机。`stop` 与 `economical` 相同：普通停机，阿里云上为节省停机模式。`hibernate` 不会停止无法休眠的机器；`hibernate-if-possible` 则对其普通停机。";
        STOP_MODE "stop_mode": Kind::Choice(&["stop", "economical", "hibernate", "hibernate-if-possible"]), [= "stop"], "hibernate-if-possible";
        /// The tag, with its value, that a resource must carry before neap stops it. Only its owner
        /// sets it.
        zh "资源必须带有此标签和值，neap 才会停止它。只由所有者设置。";
        OPT_IN_TAG "opt_in_tag": Kind::Shaped(Shape::TAG_AND_VALUE), [= "neap:managed=true"], "sleep=yes";
        /// Whether to stop machines that may not start again because their type is scarce.
        zh "是否停止因机型紧缺而可能无法再次启动的机器。";
        ACCEPT_RESTART_RISK "accept_restart_risk": Kind::Flag, [= false], true;
    }

    /// Keys that may stand in `[[idle]]` and `[idle_defaults]`.
    zh "可写在 `[[idle]]` 和 `[idle_defaults]` 中的键。";
    rule "Keys of idle rules and `[idle_defaults]`" or "闲置规则和 `[idle_defaults]` 的键" at ["idle_defaults"]
    example "[idle_defaults]\ngrace = \"2d\"\nobserve_first = \"14d\"\n"
    {
        /// How long a mark stands before the stop. `0s` stops what is idle at once. Only time in
        /// which neap was looking counts.
        zh "从标记到停机的时长。`0s` 表示立即停止。只计 neap 在观察的时间。";
        GRACE "grace": Kind::Duration(Seconds::ZERO, QUARTER), ["required, in the rule or in `[idle_defaults]`", "必填，写在规则或 `[idle_defaults]` 中"], "2d";
        /// How long a new rule only watches.
        zh "新规则先只观察多久。";
        OBSERVE_FIRST "observe_first": Kind::Duration(Seconds::ZERO, QUARTER), [= "7d"], "14d";
        /// Whether a resource younger than the look-back is judged by what there is.
        zh "历史短于回看时长的资源是否按现有数据判断。";
        ACCEPT_SHORT_HISTORY "accept_short_history": Kind::Flag, [= false], true;
        /// How long a machine is left alone after somebody started it again by hand.
        zh "有人手动重新启动机器后，多久不再动它。";
        EXEMPT_AFTER_RESTART "exempt_after_restart": Kind::Duration(Seconds::ZERO, Seconds::days(365)), [= "14d"], "30d";
        /// What the rule may stop at once.
        zh "规则一次可停止的数量。";
        BLAST_RADIUS "blast_radius": Kind::Table(&radius::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// A tag whose values make groups. `blast_radius` holds in each of them as well.
        zh "按此标签的值分组，`blast_radius` 在每组内同样生效。";
        GROUP_TAG "group_tag": Kind::Text, ["accounts only", "仅按账号"], "team";
        /// The tag that names whom to tell.
        zh "写明通知谁的标签。";
        OWNER_TAG "owner_tag": Kind::Text, ["nobody is named", "不指明"], "owner";
        /// Whether a mark is also written on the resource as a tag.
        zh "标记是否也作为标签写到资源上。";
        MARK_TAG "mark_tag": Kind::Flag, [= false], true;
        /// The zone in which the rule sees days and nights.
        zh "规则按哪个时区划分昼夜。";
        TIMEZONE "timezone": Kind::Shaped(Shape::ZONE), [= "UTC"], "Asia/Shanghai";
    }

    /// Keys of `[[idle]]` and `[[schedule]]` that say which resources are meant.
    zh "`[[idle]]` 和 `[[schedule]]` 中指明适用资源的键。";
    select "Keys of idle rules and schedules" or "闲置规则和时间表的键" at ["idle"]
    example "[[idle]]\nname = \"dev-boxes\"\nprovider = \"aws\"\nkinds = [\"instance\"]\nmatch = { tags = { env = [\"dev\", \"test\"] } }\nidle_when = { cpu_max_percent = 3.0 }\ngrace = \"2d\"\n"
    {
        /// Which resources are meant.
        zh "适用哪些资源。";
        MATCH "match": Kind::Table(&matching::SECTION), ["required, but for schedules whose hours are in tags", "必填；时段写在标签里的时间表可省略"], _;
        /// Only of this provider, by its name in this file.
        zh "只限此 provider，用本文件中的名称。";
        PROVIDER "provider": Kind::Text, ["all clouds", "所有云"], "aws";
        /// Only of these accounts.
        zh "只限这些账号。";
        ACCOUNTS "accounts": Kind::List(&Kind::Text), ["all accounts", "所有账号"], ["111122223333"];
        /// Only of these regions.
        zh "只限这些地域。";
        REGIONS "regions": Kind::List(&Kind::Text), ["all regions", "所有地域"], ["eu-west-1"];
        /// Only of these kinds. `volume`, `address`, `load_balancer` and `snapshot` cannot be
        /// stopped; they need a rule of their own, and are only reported.
        zh "只限这些类型。`volume`、`address`、`load_balancer` 和 `snapshot` 无法停止，须单独写规则，只做报告。";
        KINDS "kinds": Kind::List(&Kind::Choice(&["instance", "database", "volume", "address", "load_balancer", "snapshot"])), [= ["instance"]], ["instance", "database"];
    }

    /// Which resources are meant. At least one tag or id is needed, because without one every
    /// resource would be meant.
    zh "适用哪些资源。至少要有一个标签或 ID，否则所有资源都会被包括在内。";
    matching "`match`" at ["idle", "match"]
    example "[[idle]]\nname = \"dev-boxes\"\nidle_when = { cpu_max_percent = 3.0 }\ngrace = \"2d\"\n\n[idle.match]\ntags = { env = [\"dev\", \"test\"], owner = [] }\nnot_tags = { keep = [\"yes\"] }\n"
    {
        /// Each of these tags must have one of its values. An empty list takes any value.
        zh "每个标签须具有所列值之一。空列表表示任意值。";
        TAGS "tags": Kind::Map(&Kind::List(&Kind::Text)), ["any tags", "任意标签"], { env = ["dev", "test"], owner = [] };
        /// Not where one of these tags has one of its values.
        zh "若任一标签具有所列值之一，则排除。";
        NOT_TAGS "not_tags": Kind::Map(&Kind::List(&Kind::Text)), ["none is left out", "不排除"], { keep = ["yes"] };
        /// Only these ids.
        zh "只限这些 ID。";
        IDS "ids": Kind::List(&Kind::Text), ["any id", "任意 ID"], ["i-0123456789abcdef0"];
    }

    /// Up to where a resource counts as idle, and for how long. Each limit holds for the greatest
    /// value of every hour. At least one limit of CPU, network, disk or connections is needed. For
    /// kinds that cannot be stopped only `for` is known.
    zh "用量低于多少、持续多久算闲置。每个上限针对每小时的最大值。至少要有 CPU、网络、磁盘或连接数中的一个上限。对无法停止的类型只有 `for` 可用。";
    idle_when "`idle_when`" at ["idle", "idle_when"]
    takes [limits::SECTION]
    example "[[idle]]\nname = \"dev-boxes\"\nmatch = { tags = { env = [\"dev\"] } }\ngrace = \"2d\"\n\n[idle.idle_when]\ncpu_max_percent = 3.0\nnetwork_max_kib_per_second = 5.0\nfor = \"35d\"\n"
    {
        /// How far to look back. The default sees a monthly batch at least once.
        zh "回看多久。默认值至少能看到一次每月批处理。";
        FOR "for": Kind::Duration(Seconds::days(1), Seconds::days(395)), [= "35d"], "14d";
        /// The share of hours in the look-back that must have a sample. Missing metrics never make
        /// anything idle.
        zh "回看时段内须有样本的小时比例。缺失的指标绝不会使任何资源算作闲置。";
        COVERAGE "coverage": Kind::Shaped(Shape::SHARE_ABOVE_0), [= "95%"], "90%";
        /// Hours above a limit that are forgiven in the whole look-back: patch days.
        zh "整个回看时段内允许超过上限的小时数，例如打补丁的日子。";
        FORGIVEN_HOURS "forgiven_hours": Kind::Whole(0, 720), [= 0], 4, in "hours" "小时";
        /// Signals that must be measured. CPU, network and disk always must.
        zh "必须有测量值的信号。CPU、网络和磁盘始终必须有。";
        REQUIRE "require": Kind::List(&Kind::Choice(&["cpu", "network_in", "network_out", "disk_ops", "memory", "connections", "gpu", "credits_left"])), ["CPU, network and disk", "CPU、网络和磁盘"], ["memory"];
    }

    /// Limits of use, in `idle_when` and in a schedule's `only_if_idle`.
    zh "用量上限，用于 `idle_when` 和时间表的 `only_if_idle`。";
    limits "`only_if_idle`" at ["schedule", "only_if_idle"]
    example "[[schedule]]\nname = \"office-hours\"\nmatch = { tags = { schedule = [\"office\"] } }\ntimezone = \"Asia/Shanghai\"\nup = \"Mon-Fri 08:30-20:00\"\nonly_if_idle = { cpu_max_percent = 5.0 }\n"
    {
        /// CPU in percent.
        zh "CPU 百分比。";
        CPU_MAX_PERCENT "cpu_max_percent": Kind::Percent, ["no limit", "不设上限"], 3.0, in "percent" "百分比";
        /// Network, in and out each, in KiB a second.
        zh "网络流量（入、出分别计算），单位 KiB/s。";
        NETWORK_MAX_KIB_PER_SECOND "network_max_kib_per_second": Kind::NotNegative, ["no limit", "不设上限"], 5.0, in "KiB a second" "KiB/秒";
        /// Disk operations a second.
        zh "每秒磁盘操作数。";
        DISK_MAX_OPS_PER_SECOND "disk_max_ops_per_second": Kind::NotNegative, ["no limit", "不设上限"], 2.0, in "operations a second" "次操作/秒";
        /// Memory in percent. It needs an agent on the machine, and alone it does not tell that a
        /// machine is idle.
        zh "内存百分比。需要机器上的代理程序；单凭内存不能判断机器闲置。";
        MEMORY_MAX_PERCENT "memory_max_percent": Kind::Percent, ["no limit", "不设上限"], 40.0, in "percent" "百分比";
        /// Connections to a database.
        zh "数据库连接数。";
        CONNECTIONS_MAX "connections_max": Kind::NotNegative, ["no limit", "不设上限"], 0, in "connections" "个连接";
        /// GPU in percent. Alone it does not tell that a machine is idle.
        zh "GPU 百分比；单凭 GPU 不能判断机器闲置。";
        GPU_MAX_PERCENT "gpu_max_percent": Kind::Percent, ["no limit", "不设上限"], 1.0, in "percent" "百分比";
    }

    /// What may be stopped at once in an account (and in each group of `group_tag`). If more than a
    /// day's share falls due at once, all of it is held.
    zh "在一个账号（以及 `group_tag` 的每组）内一次可停止的数量。若同时到期的超过一天的份额，则全部保持不动。";
    radius "`blast_radius`" at ["idle_defaults", "blast_radius"]
    example "[idle_defaults]\nblast_radius = { hour = \"5%\", day = \"20%\", at_least = 2 }\n"
    {
        /// Within any hour: a share of the instances, running or stopped, or a number.
        zh "任意一小时内：实例（无论运行或停止）的比例，或数量。";
        HOUR "hour": Kind::Either(&[Kind::Shaped(Shape::SHARE_ABOVE_0), Kind::Whole(1, 100_000)]), [= "5%"], "10%", in "machines, where it is a number" "台机器（写数字时）";
        /// Within any day: a share or a number. It must not be less than `hour`.
        zh "任意一天内：比例或数量，不得小于 `hour`。";
        DAY "day": Kind::Either(&[Kind::Shaped(Shape::SHARE_ABOVE_0), Kind::Whole(1, 100_000)]), [= "20%"], "50%", in "machines, where it is a number" "台机器（写数字时）";
        /// How many may be stopped however small the account is, where `hour` and `day` are shares.
        zh "`hour` 和 `day` 为比例时，无论账号多小都可停止的数量。";
        AT_LEAST "at_least": Kind::Whole(0, 100_000), ["1 an hour, 3 a day", "每小时 1 个，每天 3 个"], 2, in "machines" "台机器";
    }
}
