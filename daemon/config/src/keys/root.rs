//! The keys at the top of the file and of the small tables that hold for all of it.

use fleet::Seconds;

use super::{Key, Kind, Preset, Rule, Section, Shape};
use super::{alert, example, idle, page, preset, provider, schedule, sections, service, times};

sections! {
    /// Keys at the top of the file, before the first table.
    zh "位于文件顶部、第一个表之前的键。";
    top "Top of the file" or "文件顶部" at []
    rules [Rule::AnyOf(&[&SERVICE, &SERVICE_TEMPLATE, &IDLE, &SCHEDULE])]
    example "mode = \"observe\"\npoll_interval = \"1m\"\nstate_dir = \"/var/lib/neap\"\n"
    {
        /// `observe` decides and records, and changes nothing. `act` lets services and idle rules
        /// change things, as far as their own `mode` allows. Start with `observe`.
        zh "`observe` 只做决策并记录，不做任何更改。`act` 允许服务和闲置规则执行更改，但不超出它们各自的 `mode`。建议先用 `observe`。";
        MODE "mode": Kind::Choice(&["observe", "act"]), [= "observe"], "act";
        /// How often neap reads metrics and decides. A shorter interval reacts sooner and makes
        /// more API calls. Clouds report ordinary metrics once a minute, so less than `1m` rarely
        /// helps.
        zh "neap 读取指标并做决策的间隔。间隔越短，反应越快，API 调用也越多。云厂商的普通指标每分钟一个点，因此小于 `1m` 通常没有意义。";
        POLL_INTERVAL "poll_interval": Kind::Duration(Seconds(1), Seconds::hours(1)), [= "1m"], "30s";
        /// How long a cycle may take. Whatever has not answered by then counts as unread in this
        /// cycle. It cannot exceed `poll_interval`.
        zh "一个周期最多用时多久。到时仍未返回的数据在本周期内视为未读到。不能超过 `poll_interval`。";
        CYCLE_DEADLINE "cycle_deadline": Kind::Duration(Seconds(1), Seconds::hours(1)), ["75% of `poll_interval`", "`poll_interval` 的 75%"], "40s";
        /// The directory of the journal. Only one daemon may use it. Changing it needs a restart
        /// and begins an empty journal.
        zh "日志库所在目录，同一时间只能由一个守护进程使用。修改后需要重启，并从空的日志库开始。";
        STATE_DIR "state_dir": Kind::Path, [= "/var/lib/neap"], "/srv/neap";
        /// While this file exists, neap changes nothing; a directory or a link to nothing counts
        /// too. It must not lie in `/run`, `/var/run` or `/dev/shm`, because a reboot empties them.
        zh "只要该文件存在，neap 就不做任何更改；目录和悬空的链接也算。不能放在 `/run`、`/var/run` 或 `/dev/shm` 下，因为重启会清空这些目录。";
        KILL_SWITCH "kill_switch": Kind::Path, [= "/etc/neap/stop"], "/srv/neap/stop";
        /// The Unix group whose members may approve stops, promote, demote and grant exemptions
        /// from the command line. Changing it needs a restart.
        zh "Unix 用户组：组内成员可以在命令行上批准停机、提升、降级和豁免。修改后需要重启。";
        APPROVERS "approvers": Kind::Text, [= "neap-approvers"], "sre";
        /// How often neap looks for idle resources and applies schedules.
        zh "多久检查一次闲置资源并执行时间表。";
        IDLE_INTERVAL "idle_interval": Kind::Duration(Seconds::minutes(1), Seconds::hours(1)), [= "5m"], "10m";
        /// Limits on how fast capacity may be removed, and on what may be spent.
        zh "限制容量移除的速度和开支。";
        BUDGETS "budgets": Kind::Table(&budgets::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// How much of the journal is kept.
        zh "日志库保留多少。";
        JOURNAL "journal": Kind::Table(&journal::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// What is logged, and in which form.
        zh "记录哪些日志、用什么格式。";
        LOG "log": Kind::Table(&log::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// Where traces of cycles are sent.
        zh "周期的追踪数据发往何处。";
        TRACE "trace": Kind::Table(&trace::SECTION), ["no traces", "不发送"], _;
        /// What a service or rule must show in shadow before it can be promoted, and what takes a
        /// promotion back.
        zh "服务或规则在影子阶段须达到什么条件才能提升，以及什么情况会撤销提升。";
        PROMOTION "promotion": Kind::Table(&promotion::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// What savings are reckoned against.
        zh "节省以什么为基准计算。";
        MONEY "money": Kind::Table(&money::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// What is paid whether machines run or not: reservations and Savings Plans.
        zh "无论机器是否运行都要支付的费用：预留实例和节省计划。";
        COMMITMENT "commitment": Kind::Tables(&[&commitment::SECTION]), ["nothing is committed", "没有承诺消费"], _;
        /// The review page.
        zh "审阅页面。";
        PAGE "page": Kind::Table(&page::page::SECTION), ["no page", "不提供页面"], _;
        /// Clouds and sources of metrics, by a name of your choice. The name consists of ASCII
        /// letters, digits, `-` and `_`.
        zh "云和指标来源，名称自定，由 ASCII 字母、数字、`-` 和 `_` 组成。";
        PROVIDER "provider": Kind::Named(&[&provider::aws::SECTION, &provider::alibaba::SECTION, &provider::prometheus::SECTION, &provider::sim::SECTION]), ["no provider", "没有"], _;
        /// Time zones, days of rest and holidays, by a name of your choice.
        zh "时区、休息日和节假日，名称自定。";
        CALENDAR "calendar": Kind::Named(&[&times::calendar::SECTION]), ["no calendar", "没有"], _;
        /// Keys that hold for every service and template that does not set them itself.
        zh "对所有服务和模板生效的键，除非它们自己另行设置。";
        SERVICE_DEFAULTS "service_defaults": Kind::Table(&service::service_defaults::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// The services to size.
        zh "要调节规模的服务。";
        SERVICE "service": Kind::Tables(&[&service::service::SECTION]), ["no service", "没有"], _;
        /// Services made of every group that carries certain tags.
        zh "由带有指定标签的每个组生成的服务。";
        SERVICE_TEMPLATE "service_template": Kind::Tables(&[&service::template::SECTION]), ["no template", "没有"], _;
        /// Times in which changes are restrained.
        zh "限制更改的时段。";
        FREEZE "freeze": Kind::Tables(&[&times::freeze::SECTION]), ["no freeze", "没有"], _;
        /// Sales, launches and batches that are known beforehand.
        zh "事先已知的大促、发布和批处理。";
        EVENT "event": Kind::Tables(&[&times::event::SECTION]), ["no event", "没有"], _;
        /// Keys that hold for every idle rule, and in part for every schedule, that does not set
        /// them itself.
        zh "对所有闲置规则（部分也对时间表）生效的键，除非它们自己另行设置。";
        IDLE_DEFAULTS "idle_defaults": Kind::Table(&idle::idle_defaults::SECTION), ["the defaults of its keys", "各键的默认值"], _;
        /// Rules that find and stop idle machines.
        zh "发现并停止闲置机器的规则。";
        IDLE "idle": Kind::Tables(&[&idle::idle::SECTION]), ["no rule", "没有"], _;
        /// When machines are to be up.
        zh "机器应在何时运行。";
        SCHEDULE "schedule": Kind::Tables(&[&schedule::own::SECTION, &schedule::custodian::SECTION]), ["no schedule", "没有"], _;
        /// Where people are told.
        zh "通知发往何处。";
        ALERT "alert": Kind::Tables(&[&alert::alert::SECTION]), ["no alert leaves", "不发送通知"], _;
    }

    /// Limits that span groups. Budgets limit removals only; they never hold growth back. A budget
    /// such as `10% per 10m, at least 2` is a token bucket: at most 10% of the units in any ten
    /// minutes, but 2 units are always allowed. Without `at least` it is 1 unit.
    zh "跨组的限制。预算只限制移除，从不限制增长。`10% per 10m, at least 2` 这样的预算是令牌桶：任意十分钟内最多移除 10% 的单元，但始终允许移除 2 个。不写 `at least` 时为 1 个。";
    budgets "`[budgets]`" at ["budgets"]
    example "[budgets]\ngroup = \"10% per 10m\"\naccount = \"5% per 1h, at least 2\"\nfleet = \"2% per 1h\"\n"
    {
        /// What may be removed from one group.
        zh "单个组可移除的量。";
        GROUP "group": Kind::Shaped(Shape::BUDGET), [= "10% per 10m"], "20% per 10m, at least 2";
        /// What may be removed from all groups of an account together.
        zh "一个账号的所有组合计可移除的量。";
        ACCOUNT "account": Kind::Shaped(Shape::BUDGET), [= "5% per 1h"], "10% per 1h";
        /// What may be removed from all groups of this file together.
        zh "本文件所有组合计可移除的量。";
        FLEET "fleet": Kind::Shaped(Shape::BUDGET), [= "2% per 1h"], "5% per 1h, at least 4";
        /// US dollars an hour that all sized pools with a `price_usd_hourly` may cost together. neap
        /// does not grow past it.
        zh "所有设置了 `price_usd_hourly` 的受管池合计每小时可花费的美元数。neap 不会增长到超出此值。";
        SPEND_USD_HOURLY "spend_usd_hourly": Kind::Positive, ["no ceiling", "不设上限"], 120.5, in "US dollars an hour" "美元/小时";
    }

    /// How much of the journal is kept. The oldest records go first.
    zh "日志库保留多少，先删除最旧的记录。";
    journal "`[journal]`" at ["journal"]
    example "[journal]\nmax_age = \"395d\"\nmax_size = \"40 GiB\"\n"
    {
        /// Records older than this are removed. The default keeps a year and a month, so that this
        /// year's peak can be compared with last year's.
        zh "超过此时长的记录会被删除。默认保留一年零一个月，便于与去年的高峰对比。";
        MAX_AGE "max_age": Kind::Duration(Seconds::days(1), Seconds::days(3650)), [= "395d"], "90d";
        /// Above this size on disk the oldest records are removed. The least is `256 MiB`.
        zh "磁盘占用超过此值时删除最旧的记录。最小为 `256 MiB`。";
        MAX_SIZE "max_size": Kind::Shaped(Shape::SIZE), [= "40 GiB"], "10 GiB";
        /// The measured use of resources is kept at least this long, whatever `max_age` says. Idle
        /// rules look back into it.
        zh "资源的使用数据至少保留这么久，不受 `max_age` 影响。闲置规则要回看这些数据。";
        USAGE_AGE "usage_age": Kind::Duration(Seconds::days(1), Seconds::days(3650)), [= "400d"], "60d";
    }

    /// What savings are reckoned against. Every figure names it.
    zh "节省以什么为基准计算。每个数字都会写明基准。";
    money "`[money]`" at ["money"]
    example "[money]\nbaseline = \"native\"\n"
    {
        /// `peak` is the most units of each day, all that day. `before` is the mean size while neap
        /// only watched, which takes at least 7 days of it. `native` is the cloud's own target
        /// tracking, simulated on the same load.
        zh "`peak` 是每天的最多单元数，按全天计。`before` 是 neap 只观察时的平均规模，至少需要 7 天。`native` 是在相同负载上模拟的云自带目标追踪伸缩。";
        BASELINE "baseline": Kind::Choice(&["peak", "before", "native"]), [= "peak"], "native";
    }

    /// What is paid whether machines run or not, such as reservations and Savings Plans. What the
    /// sized groups use less of it is never claimed as saved. State the part of it that is meant
    /// for the groups of this file.
    zh "无论机器是否运行都要支付的费用，例如预留实例和节省计划。受管组少用的那部分承诺永远不算作节省。只填写用于本文件中各组的那一部分。";
    commitment "`[[commitment]]`" at ["commitment"]
    example "[[commitment]]\nprovider = \"aws\"\nusd_hourly = 12.5\n"
    {
        /// The provider whose machines it pays for.
        zh "它支付哪个云的机器。";
        PROVIDER "provider": Kind::Text, [required], "aws";
        /// The account whose machines it pays for.
        zh "它支付哪个账号的机器。";
        ACCOUNT "account": Kind::Text, ["all accounts", "所有账号"], "123456789012";
        /// The region whose machines it pays for.
        zh "它支付哪个地域的机器。";
        REGION "region": Kind::Text, ["all regions", "所有地域"], "eu-west-1";
        /// What is paid for it an hour, at list prices.
        zh "每小时为它支付多少，按目录价。";
        USD_HOURLY "usd_hourly": Kind::Positive, [required], 12.5, in "US dollars an hour" "美元/小时";
    }

    /// What is logged to standard error.
    zh "写到标准错误的日志。";
    log "`[log]`" at ["log"]
    example "[log]\nformat = \"json\"\nlevel = \"info\"\n"
    {
        /// `human` writes one readable line an event, `json` one JSON object an event.
        zh "`human` 每个事件一行可读文本，`json` 每个事件一个 JSON 对象。";
        FORMAT "format": Kind::Choice(&["human", "json"]), [= "human"], "json";
        /// The least severity that is logged. `debug` logs each call, `trace` everything.
        zh "记录的最低级别。`debug` 记录每次调用，`trace` 记录一切。";
        LEVEL "level": Kind::Choice(&["error", "warn", "info", "debug", "trace"]), [= "info"], "debug";
    }

    /// Where traces of cycles are sent, by OTLP over HTTP. Changing any of these keys needs a
    /// restart.
    zh "周期的追踪数据通过 OTLP（HTTP）发往何处。修改这里的键需要重启。";
    trace "`[trace]`" at ["trace"]
    example "[trace]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\nsample = \"10%\"\n"
    {
        /// The receiver's address with its path. It must not hold a user, a password or a query.
        zh "接收端的完整地址，包括路径。不能含有用户名、密码或查询串。";
        ENDPOINT "endpoint": Kind::Shaped(Shape::ADDRESS), [required], "http://127.0.0.1:4318/v1/traces";
        /// A file of headers that are sent along, such as `authorization: Bearer …`.
        zh "随请求发送的 HTTP 头所在文件，例如 `authorization: Bearer …`。";
        HEADERS_FILE "headers_file": Kind::Path, ["no headers", "不附加"], "trace.headers";
        /// The share of cycles that are traced.
        zh "被追踪的周期所占比例。";
        SAMPLE "sample": Kind::Shaped(Shape::SHARE), [= "100%"], "10%";
    }

    /// What a gated service, rule or schedule must show in shadow before `neap promote` lets it
    /// act, and what takes a promotion back. A service is gated with `promotion = "gated"`.
    zh "门控的服务、规则或时间表在影子阶段须达到什么条件，`neap promote` 才会让它执行；以及什么情况会撤销提升。用 `promotion = \"gated\"` 设置门控。";
    promotion "`[promotion]`" at ["promotion"]
    example "[promotion]\nshadow_for = \"14d\"\ndecisions = 50\n"
    {
        /// How long it must have been in shadow. Scorecards are kept for five weeks, so the most is
        /// 30 days.
        zh "须在影子阶段停留多久。记分卡保留五周，因此最多 30 天。";
        SHADOW_FOR "shadow_for": Kind::Duration(Seconds(0), Seconds::days(30)), [= "7d"], "14d";
        /// How many orders a service would have given, at least. Fewer are not enough to judge by.
        zh "服务在影子阶段至少会下达多少次指令。次数太少不足以判断。";
        DECISIONS "decisions": Kind::Whole(0, 1_000_000), [= 10], 50, in "orders" "次指令";
        /// By how much the service's share of violations in shadow may exceed the real one. It may
        /// never exceed `violation_budget`.
        zh "服务在影子阶段的违约比例最多可比实际高多少。任何情况下不得超过 `violation_budget`。";
        WORSE_BY "worse_by": Kind::Shaped(Shape::SHARE), [= "0.1%"], "0.2%";
        /// By how much the service's cost in shadow may exceed what is really paid.
        zh "服务在影子阶段的费用最多可比实际高多少。";
        DEARER_BY "dearer_by": Kind::Shaped(Shape::SHARE), [= "5%"], "10%";
        /// A promoted service goes back to shadow when its share of violations exceeds this many
        /// times `violation_budget` (and `regret_violations` is exceeded too).
        zh "已提升的服务，若违约比例超过 `violation_budget` 的这么多倍（且同时超过 `regret_violations`），就退回影子阶段。";
        REGRET_TIMES_BUDGET "regret_times_budget": Kind::Whole(1, 1_000_000), [= 2], 3, in "times the budget" "倍预算";
        /// This many intervals in violation are never enough to take a promotion back: a single bad
        /// quarter of an hour is no reason.
        zh "违约的间隔数不超过此值时，不会撤销提升：一刻钟的不顺不足为凭。";
        REGRET_VIOLATIONS "regret_violations": Kind::Whole(0, 1_000_000), [= 10], 20, in "intervals" "个间隔";
        /// A promoted service goes back to shadow after this many removals that a violation
        /// followed within the lead time.
        zh "移除容量后在提前期内出现违约，这样的移除达到此次数，就退回影子阶段。";
        REGRET_REMOVALS "regret_removals": Kind::Whole(1, 1_000_000), [= 3], 5, in "removals" "次移除";
        /// For idle rules and schedules: the share of the stops in shadow that may turn out wrong.
        zh "用于闲置规则和时间表：影子阶段的停机中允许有多大比例是错的。";
        WRONG_STOPS "wrong_stops": Kind::Shaped(Shape::SHARE), [= "0%"], "2%";
    }
}
