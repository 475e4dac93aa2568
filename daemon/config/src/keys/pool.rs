//! The keys of `[[service.pool]]` and `[service_defaults.pool]`.

use fleet::Seconds;

use super::{Key, Kind, Preset, Section, Shape};
use super::{example, preset, sections};

const DAY: Seconds = Seconds::days(1);
const MONTH: Seconds = Seconds::days(31);

/// More units than any cloud puts in one group.
pub(super) const UNITS_MAX: u64 = 1_000_000;

sections! {
    /// The group that carries a service, and how it is sized. A service has exactly one pool that
    /// is sized.
    zh "承载服务的组，以及如何调节其规模。一个服务有且只有一个受管池。";
    pool "`[[service.pool]]`" at ["service", "pool"]
    takes [defaults::SECTION]
    example "[[service]]\nname = \"checkout\"\ndemand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", when_missing = \"zero\" }]\n\n[[service.pool]]\ngroup = \"checkout-asg\"\nmin = 2\nmax = 40\n"
    {
        /// The scaling group's name (on Alibaba Cloud also its id `asg-…`).
        zh "伸缩组的名称（阿里云也可用其 ID `asg-…`）。";
        GROUP "group": Kind::Text, [required], "checkout-asg";
        /// The provider that holds the group, by its name in this file.
        zh "组所在的 provider，用本文件中的名称。";
        PROVIDER "provider": Kind::Text, ["the only cloud of the file", "文件中唯一的云"], "aws";
        /// The account that holds the group.
        zh "组所在的账号。";
        ACCOUNT "account": Kind::Text, ["the provider's only account", "provider 唯一的账号"], "111122223333";
        /// The region of the group.
        zh "组所在的地域。";
        REGION "region": Kind::Text, ["the provider's only region", "provider 唯一的地域"], "eu-west-1";
        /// `false`: neap sizes this pool. With `fixed = true` it leaves the pool alone, see
        /// below.
        zh "`false`：由 neap 调节。`fixed = true` 表示不动该池，见下文。";
        FIXED "fixed": Kind::Only("false"), [= false], false;
    }

    /// How a pool is sized. All of these keys may stand in `[service_defaults.pool]` and in the
    /// `pool` of a template, too.
    zh "如何调节一个池的规模。这些键也可以写在 `[service_defaults.pool]` 和模板的 `pool` 中。";
    defaults "`[service_defaults.pool]`" at ["service_defaults", "pool"]
    example "[service_defaults.pool]\ntarget_utilisation = \"65%\"\nlead_time = \"4m\"\ncooldown = \"10m\"\n"
    {
        /// The smallest size that neap orders. Raise it to keep spare capacity at all times.
        zh "neap 下达的最小规模。想始终保留余量时调大。";
        MIN "min": Kind::Whole(0, UNITS_MAX), [= 1], 2, in "units" "个单元";
        /// The largest size that neap orders. The cloud's own maximum holds as well.
        zh "neap 下达的最大规模。云端自己的最大值同样有效。";
        MAX "max": Kind::Whole(1, UNITS_MAX), ["the group's own maximum", "组自己的最大值"], 40, in "units" "个单元";
        /// The demand per second that one unit serves. `learn` measures it from demand and
        /// utilisation. Give a number when you know it from a load test, or when utilisation says
        /// nothing.
        zh "一个单元每秒能承载的需求。`learn` 根据需求和利用率自行测算。如果压测已知，或利用率不能说明问题，就给出数值。";
        CAPACITY_PER_UNIT "capacity_per_unit": Kind::Either(&[Kind::Only("\"learn\""), Kind::Positive]), [= "learn"], 50, in "demand per second and unit" "每单元每秒需求";
        /// The utilisation at which a unit counts as full. Lower it for more headroom. From `90%` on a
        /// sample says only that demand is at least so high, so stay well below.
        zh "单元利用率达到多少算满。调低可留更多余量。达到 `90%` 的样本只说明需求不低于所见，因此应明显低于它。";
        TARGET_UTILISATION "target_utilisation": Kind::Shaped(Shape::SHARE_ABOVE_0), [= "70%"], "60%";
        /// How long a new unit takes from the order until it serves. neap measures it, and plans with
        /// what it measured where that is longer. With `measure` it plans with what it measured alone,
        /// once four launches were seen to serve; until then with `5m`.
        zh "新单元从下单到能够承载流量需要多久。neap 会测量它，实测更长时按实测值规划。写 `measure` 则在看到四次启动能够承载流量之后只按实测值规划，此前用 `5m`。";
        LEAD_TIME "lead_time": Kind::Either(&[Kind::Only("\"measure\""), Kind::Duration(Seconds(1), DAY)]), [= "5m"], "4m";
        /// How long a unit in service takes until it is fully useful: caches, JIT. Where a warm-up of
        /// the group's own is longer, that one counts for what neap measures.
        zh "单元投入服务后多久才能完全发挥作用（缓存、JIT 等）。组自己的预热时间更长时，测量以组的为准。";
        WARM_UP "warm_up": Kind::Duration(Seconds::ZERO, DAY), [= "0s"], "2m";
        /// Which number neap writes: the `desired` capacity, or the minimum size (`floor`), so that
        /// the cloud's own scaling policies may grow beyond it.
        zh "neap 写哪个数值：期望容量（`desired`），或最小规模（`floor`），后者允许云端自己的伸缩策略继续增长。";
        ACTUATE "actuate": Kind::Choice(&["desired", "floor"]), ["`floor` where a scaling policy of the group's own takes units away, else `desired`", "组自己的伸缩策略会缩容时为 `floor`，否则为 `desired`"], "floor";
        /// After any change of the group, no unit is removed for this long.
        zh "组发生任何变化后，这段时间内不移除单元。";
        COOLDOWN "cooldown": Kind::Duration(Seconds::ZERO, DAY), [= "5m"], "10m";
        /// Demand must have fit into the smaller size for this long before units are removed.
        zh "需求在更小的规模下持续满足这么久后，才移除单元。";
        HOLD_WINDOW "hold_window": Kind::Duration(Seconds::ZERO, DAY), [= "15m"], "30m";
        /// After somebody else changed the group's size, no unit is removed for this long.
        zh "他人更改组的规模后，这段时间内不移除单元。";
        OVERRIDE_LEASE "override_lease": Kind::Duration(Seconds::ZERO, MONTH), [= "1h"], "4h";
        /// The most units that are added at once.
        zh "一次最多增加多少个单元。";
        MAX_STEP_UP "max_step_up": Kind::Whole(1, UNITS_MAX), ["no limit", "不设上限"], 20, in "units" "个单元";
        /// What a unit costs an hour, in US dollars. `spend_usd_hourly` and the costs in scorecards
        /// count with it. Without it, neap reads list and spot prices once a day for costs and
        /// savings; `spend_usd_hourly` does not count those.
        zh "一个单元每小时的美元价格，供 `spend_usd_hourly` 和记分卡中的费用使用。没有它时，neap 每天读取目录价和竞价价格，用于费用和节省；`spend_usd_hourly` 不计入读取的价格。";
        PRICE_USD_HOURLY "price_usd_hourly": Kind::Positive, ["the cloud's price, without a ceiling", "云的价格，不计入上限"], 0.096, in "US dollars an hour" "美元/小时";
        /// The least time a started unit is billed for. After growth no unit is removed before it is
        /// over, because it is paid for anyway.
        zh "启动一个单元的最短计费时长。增长之后，在此时长内不移除单元，因为反正要付费。";
        BILLING_MINIMUM "billing_minimum": Kind::Duration(Seconds::ZERO, MONTH), [= "1m"], "1h";
    }

    /// A pool that neap leaves alone. Its capacity is subtracted from the service's demand.
    zh "neap 不动的池。服务的需求会减去它的容量。";
    fixed "`[[service.pool]]` with `fixed = true`" or "`[[service.pool]]`，`fixed = true`" at ["service", "pool"]
    example "[[service]]\nname = \"checkout\"\ndemand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", when_missing = \"zero\" }]\n\n[[service.pool]]\nfixed = true\nunits = 4\ncapacity_per_unit = 25.5\n\n[[service.pool]]\ngroup = \"checkout-asg\"\n"
    {
        /// Marks the pool as one that neap leaves alone.
        zh "标明 neap 不动该池。";
        FIXED "fixed": Kind::Only("true"), [required], true;
        /// How many units it has.
        zh "它有多少个单元。";
        UNITS "units": Kind::Whole(0, UNITS_MAX), [required], 4, in "units" "个单元";
        /// The demand per second that one unit serves.
        zh "一个单元每秒能承载的需求。";
        CAPACITY_PER_UNIT "capacity_per_unit": Kind::Positive, [required], 25.5, in "demand per second and unit" "每单元每秒需求";
        /// The scaling group's name, for people.
        zh "伸缩组的名称，仅供人阅读。";
        GROUP "group": Kind::Text, ["unnamed", "不命名"], "checkout-base";
        /// The provider that holds the group, by its name in this file.
        zh "组所在的 provider，用本文件中的名称。";
        PROVIDER "provider": Kind::Text, ["the only cloud of the file", "文件中唯一的云"], "aws";
        /// The account that holds the group.
        zh "组所在的账号。";
        ACCOUNT "account": Kind::Text, ["the provider's only account", "provider 唯一的账号"], "111122223333";
        /// The region of the group.
        zh "组所在的地域。";
        REGION "region": Kind::Text, ["the provider's only region", "provider 唯一的地域"], "eu-west-1";
    }
}
