//! A stand-in for Alibaba Cloud: state, real HTTP, and signatures that the vendor's own packages
//! recompute.

mod cms;
mod ecs;
mod ess;
mod holdings;
mod metadata;
mod signature;
mod sts;
mod wire;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use fleet::{Seconds, Timestamp};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use self::cms::Metrics;
use self::ecs::Machine;
pub use self::ecs::NewEcs;
pub use self::ess::NewScalingGroup;
use self::ess::{Group, Shop};
use self::holdings::Holdings;
pub use self::holdings::{NewBalancer, NewServerGroup};
use self::metadata::Metadata;
pub use self::signature::official_signature;
use self::sts::{Access, Principal};
use self::wire::{Refusal, Request, json_answer};
use super::Point;
use super::door::{Call, Cloud, Door, Refused, plain};
use super::http::Answer;
use crate::clock::{TestTime, locked};

/// The key that is always accepted.
pub const KEY: &str = "LTAI5tNeapTestsKey";
/// The secret of [`KEY`], and of all keys that [`Alibaba::allow`] makes.
pub const SECRET: &str = "neapTestsSecret";
/// The account of [`KEY`].
pub const ACCOUNT: &str = "1000000000000001";

/// Where anybody may read the stand-in's clock, uncounted.
const CLOCK: &str = "/clock";

/// The cloud.
#[derive(Debug)]
pub struct Alibaba {
    door: Door,
    shared: Arc<Shared>,
}

impl Deref for Alibaba {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

/// What an adapter needs to reach it with [`KEY`], in these regions.
pub fn settings(cloud: &Alibaba, regions: &[&str]) -> providers::alibaba::Settings {
    let name = fleet::ProviderName::new("ali").expect("a name");
    let regions = regions.iter().filter_map(|region| fleet::Region::new(*region)).collect();
    let mut settings = providers::alibaba::Settings::new(name, regions);
    settings.endpoint_url = Some(cloud.url());
    settings.metadata_url = cloud.url();
    settings.environment = keys(KEY, SECRET);
    settings
}

/// The environment of a process that is given a pair of keys.
pub fn keys(key: &str, secret: &str) -> providers::alibaba::Environment {
    providers::alibaba::Environment::of([
        ("ALIBABA_CLOUD_ACCESS_KEY_ID".to_owned(), key.to_owned()),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET".to_owned(), secret.to_owned()),
    ])
}

#[derive(Debug)]
struct Shared {
    time: TestTime,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    accounts: BTreeMap<String, Account>,
    access: Access,
    metadata: Metadata,
    ids: Ids,
    clock_off: i64,
    boot: Seconds,
    removal: Seconds,
    pace: Seconds,
    page_groups: Option<usize>,
}

/// What one account has.
#[derive(Debug, Default)]
struct Account {
    groups: BTreeMap<String, Group>,
    machines: BTreeMap<String, Machine>,
    metrics: Metrics,
    holdings: Holdings,
    /// By instance type, how many machines are left.
    stock: BTreeMap<String, u32>,
}

/// Numbers what is made, so that the same test sees the same ids.
#[derive(Debug, Default)]
struct Ids(u64);

impl Ids {
    fn next(&mut self, kind: &str) -> String {
        self.0 += 1;
        format!("{kind}{:017}", self.0)
    }
}

impl Alibaba {
    /// Starts an empty cloud on a free port, in test time.
    ///
    /// # Panics
    /// Where no port is free, or the vendor's packages cannot be had.
    pub fn start(time: TestTime) -> Alibaba {
        signature::start();
        let state = State {
            accounts: BTreeMap::new(),
            access: Access::new(),
            metadata: Metadata::default(),
            ids: Ids::default(),
            clock_off: 0,
            boot: Seconds(0),
            removal: Seconds(0),
            pace: Seconds(0),
            page_groups: None,
        };
        let shared = Arc::new(Shared { time, state: Mutex::new(state) });
        Alibaba { door: Door::open(Arc::clone(&shared)), shared }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = locked(&self.shared.state);
        state.tick(self.shared.time.now());
        state
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
    }

    /// Does something with the newest group of that name.
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Group, &mut Shop<'_>) -> T) -> T {
        let mut state = self.state();
        let found = state.place(|group| group.name == name);
        let (account, id) = found.unwrap_or_else(|| panic!("no scaling group `{name}`"));
        state.of(&account, &id, self.shared.time.now(), act)
    }

    /// Makes a group in the default account.
    pub fn create_group(&self, group: &NewScalingGroup) {
        self.create_group_in(ACCOUNT, group);
    }

    /// Makes a group in another account.
    ///
    /// # Panics
    /// Where the account has one of that name in the region.
    pub fn create_group_in(&self, account: &str, new: &NewScalingGroup) {
        let mut state = self.state();
        let (account, mut shop) = state.shop(account, self.shared.time.now());
        let taken = account.values().any(|g| g.name == new.name && g.region == new.region);
        assert!(!taken, "there is a scaling group `{}` in {}", new.name, new.region);
        let group = Group::new(new, &mut shop);
        account.insert(group.id.clone(), group);
    }

    /// Deletes a group with all its members.
    ///
    /// # Panics
    /// Where there is none of that name.
    pub fn delete_group(&self, region: &str, name: &str) {
        let mut state = self.state();
        let found = state.place(|group| group.name == name && group.region == region);
        let (account, id) = found.unwrap_or_else(|| panic!("no `{name}` in {region}"));
        let account = state.accounts.get_mut(&account).expect("it was found");
        let group = account.groups.remove(&id).expect("it was found");
        let created = |id: &String| group.members.get(id).is_some_and(|member| !member.attached);
        account.machines.retain(|id, _| !created(id));
    }

    /// Somebody else sets a group's desired capacity.
    ///
    /// # Panics
    /// Where there is no such group, or the capacity is not within its sizes.
    pub fn set_desired(&self, region: &str, name: &str, desired: u32) {
        let mut state = self.state();
        let found = state.place(|group| group.name == name && group.region == region);
        let (account, id) = found.unwrap_or_else(|| panic!("no `{name}` in {region}"));
        let modified = state.of(&account, &id, self.shared.time.now(), |group, shop| {
            group.modify(group.min, group.max, Some(desired), shop)
        });
        modified.unwrap_or_else(|why| panic!("{name}: {why}"));
    }

    /// The desired capacity of a group; where it has none, how many members it has.
    ///
    /// # Panics
    /// As all the following: where there is no such group.
    pub fn desired(&self, name: &str) -> u32 {
        self.with(name, |group, _| group.desired.unwrap_or(group.total()))
    }

    /// The id of a group.
    pub fn group_id(&self, name: &str) -> String {
        self.with(name, |group, _| group.id.clone())
    }

    /// The ids of a group's members, those that leave among them.
    pub fn members(&self, name: &str) -> Vec<String> {
        self.with(name, |group, _| group.members.keys().cloned().collect())
    }

    /// A number of a group, such as `MinSize`.
    pub fn group_number(&self, name: &str, field: &str) -> u32 {
        let shown = self.with(name, |group, shop| group.shown(shop.now));
        let number = shown[field].as_u64().and_then(|number| u32::try_from(number).ok());
        number.unwrap_or_else(|| panic!("{field} of `{name}` is {}", shown[field]))
    }

    /// Members of a group in service now, in test time.
    pub fn in_service(&self, name: &str) -> u32 {
        self.in_service_at(name, self.shared.time.now())
    }

    /// Members of a group in service at `at`, as orders stand now.
    pub fn in_service_at(&self, name: &str, at: Timestamp) -> u32 {
        self.with(name, |group, _| group.in_service(at))
    }

    /// A group accepts orders, or does not.
    pub fn activate(&self, name: &str, active: bool) {
        self.with(name, |group, _| group.active = active);
    }

    /// The cloud has no more than `limit` machines for a group; `None` lifts it.
    pub fn shortage(&self, name: &str, limit: Option<u32>) {
        self.with(name, |group, shop| {
            group.stock = limit;
            let why = "The Total Capacity is not the Desired Capacity";
            if limit.is_none() {
                group.reconcile(why, "Ess", shop);
            }
        });
    }

    /// Gives a group a scaling rule, as the cloud shows one.
    pub fn add_rule(&self, name: &str, rule: Value) {
        self.with(name, |group, _| group.rules.push(owned(rule, &group.id)));
    }

    /// Shows something else of a group from now on: an object.
    pub fn show_group(&self, name: &str, fields: Value) {
        self.with(name, |group, _| group.shows = fields);
    }

    /// Gives a group a scheduled task, as the cloud shows one.
    pub fn add_task(&self, name: &str, task: Value) {
        self.with(name, |group, _| group.tasks.push(owned(task, &group.id)));
    }

    /// Puts a machine into a group by hand; its desired capacity grows with it.
    pub fn attach_instance(&self, name: &str, instance: &str) {
        self.with(name, |group, shop| {
            assert!(shop.machines.contains_key(instance), "no instance `{instance}`");
            group.join(instance, shop.now, shop.now, true, "");
            group.desired = group.desired.map(|desired| desired + 1);
        });
    }

    /// Shows a member in this state from now on.
    ///
    /// # Panics
    /// Where no group has it.
    pub fn set_lifecycle(&self, instance: &str, lifecycle: &str) {
        let mut state = self.state();
        let groups = state.accounts.values_mut().flat_map(|account| account.groups.values_mut());
        let mut members = groups.filter_map(|group| group.members.get_mut(instance));
        let member = members.next().unwrap_or_else(|| panic!("no member `{instance}`"));
        member.strange = Some(lifecycle.to_owned());
    }

    /// Makes a machine that belongs to no group; its id.
    pub fn create_instance(&self, new: &NewEcs) -> String {
        let mut state = self.state();
        let now = self.shared.time.now();
        let (_, shop) = state.shop(ACCOUNT, now);
        Machine::launch(new, now, shop.ids, shop.machines)
    }

    /// What state a machine is in, such as `Running`.
    ///
    /// # Panics
    /// Where there is none of that id.
    pub fn instance_status(&self, instance: &str) -> &'static str {
        let state = self.state();
        let machine = state.accounts.values().find_map(|account| account.machines.get(instance));
        let machine = machine.unwrap_or_else(|| panic!("no instance `{instance}`"));
        machine.status(self.shared.time.now())
    }

    /// So many machines of a type are left to be started; `None` for as many as one likes.
    pub fn instance_stock(&self, instance_type: &str, left: Option<u32>) {
        self.set(|state| {
            let stock = &mut state.account(ACCOUNT).stock;
            match left {
                Some(left) => stock.insert(instance_type.to_owned(), left),
                None => stock.remove(instance_type),
            };
        });
    }

    /// Puts values of a metric, the same for all its statistics, into the default account.
    pub fn put_metric(
        &self,
        namespace: &str,
        metric: &str,
        dimensions: &[(&str, &str)],
        points: &[Point],
    ) {
        self.set(|state| {
            state.account(ACCOUNT).metrics.put(namespace, metric, dimensions, points);
        });
    }

    /// So many metric calls are free from now on; all others fail.
    pub fn quota(&self, calls: Option<u32>) {
        self.set(|state| state.account(ACCOUNT).metrics.quota = calls);
    }

    /// How long instances boot that are ordered from now on.
    pub fn boot_takes(&self, boot: Seconds) {
        self.set(|state| state.boot = boot);
    }

    /// How long instances take to leave that are removed from now on.
    pub fn removal_takes(&self, removal: Seconds) {
        self.set(|state| state.removal = removal);
    }

    /// How long it takes to stop or start a machine.
    pub fn turning_takes(&self, pace: Seconds) {
        self.set(|state| state.pace = pace);
    }

    /// Answers hold at most so many groups.
    pub fn page_by(&self, groups: Option<usize>) {
        self.set(|state| state.page_groups = groups);
    }

    /// The cloud's clock is ahead of test time by so much.
    pub fn clock_off_by(&self, seconds: i64) {
        self.set(|state| state.clock_off = seconds);
    }

    /// Restricts a key, which is made where there is none, or a role to some actions: `ess:Describe*`.
    pub fn allow(&self, principal: &str, actions: &[&str]) {
        self.set(|state| {
            let access = &mut state.access;
            if sts::account_of(principal).is_none() && !access.keys.contains_key(principal) {
                access.add_key(principal);
            }
            let actions = actions.iter().map(|action| (*action).to_owned()).collect();
            access.allowed.insert(principal.to_owned(), actions);
        });
    }

    /// Makes a role `acs:ram::ACCOUNT:role/NAME`, which may want an external id.
    ///
    /// # Panics
    /// Where this is no ARN of a role.
    pub fn create_role(&self, arn: &str, external_id: Option<&str>) {
        assert!(sts::account_of(arn).is_some(), "`{arn}` is no role");
        let external_id = external_id.map(str::to_owned);
        self.set(|state| drop(state.access.roles.insert(arn.to_owned(), external_id)));
    }

    /// The one OIDC token that opens a session.
    pub fn oidc_token(&self, token: &str) {
        self.set(|state| state.access.oidc_token = Some(token.to_owned()));
    }

    /// The role that the metadata service tells of, and whether it wants a token first.
    pub fn instance_role(&self, name: Option<&str>, hardened: bool) {
        self.set(|state| {
            state.metadata.role = name.map(str::to_owned);
            state.metadata.hardened = hardened;
        });
    }
}

fn owned(mut value: Value, group: &str) -> Value {
    value["ScalingGroupId"] = group.into();
    value
}

impl State {
    fn account(&mut self, name: &str) -> &mut Account {
        self.accounts.entry(name.to_owned()).or_default()
    }

    fn tick(&mut self, now: Timestamp) {
        for account in self.accounts.values_mut() {
            for group in account.groups.values_mut() {
                group.tick(now, &mut account.machines);
            }
        }
    }

    /// An account and what its groups need to change.
    fn shop(&mut self, account: &str, now: Timestamp) -> (&mut BTreeMap<String, Group>, Shop<'_>) {
        let Account { groups, machines, .. } = self.accounts.entry(account.to_owned()).or_default();
        let (boot, removal) = (self.boot, self.removal);
        (groups, Shop { now, boot, removal, ids: &mut self.ids, machines })
    }

    /// Account and id of the newest group that is meant.
    fn place(&self, meant: impl Fn(&Group) -> bool) -> Option<(String, String)> {
        let all = self
            .accounts
            .iter()
            .flat_map(|(name, account)| account.groups.values().map(move |group| (name, group)));
        let newest = all.filter(|(_, group)| meant(group)).max_by_key(|(_, group)| group.number);
        newest.map(|(account, group)| (account.clone(), group.id.clone()))
    }

    /// Does something with a group that there is.
    fn of<T>(
        &mut self,
        account: &str,
        id: &str,
        now: Timestamp,
        act: impl FnOnce(&mut Group, &mut Shop<'_>) -> T,
    ) -> T {
        let (groups, mut shop) = self.shop(account, now);
        act(groups.get_mut(id).expect("it was found"), &mut shop)
    }

    fn answer(&mut self, request: &Request, now: Timestamp) -> Result<Value, Refusal> {
        let clock = Timestamp(now.0 + self.clock_off);
        let signed = request.operation != "AssumeRoleWithOIDC" || request.product != "sts";
        let who =
            if signed { Some(signature::check(request, &mut self.access, clock)?) } else { None };
        signature::check_names(request)?;
        // Who asks who they are needs no permission.
        if let Some(who) = &who
            && request.action() != "sts:GetCallerIdentity"
            && !self.access.permits(&who.name, &request.action())
        {
            return Err(Refusal::denied(request, &who.name));
        }
        if request.product == "sts" {
            return sts::answer(request, &mut self.access, who.as_ref(), &mut self.ids, clock);
        }
        let account = who.map(|who| who.account).unwrap_or_default();
        let (pages, pace) = (self.page_groups, self.pace.0 as i64);
        match request.product.as_str() {
            "ess" => {
                let (groups, shop) = self.shop(&account, now);
                ess::answer(request, groups, &account, shop, pages)
            }
            "cms" => {
                let Account { metrics, holdings, .. } = self.account(&account);
                match request.operation.as_str() {
                    "DescribeMetricRuleList" => holdings.answer(request),
                    _ => cms::answer(request, metrics, &account, now),
                }
            }
            "vpc" | "slb" | "alb" | "nlb" => self.account(&account).holdings.answer(request),
            "ecs" if holdings::of_ecs(&request.operation) => {
                self.account(&account).holdings.answer(request)
            }
            _ => ecs::answer(request, self.account(&account), now, pace),
        }
    }
}

#[async_trait]
impl Cloud for Shared {
    type Request = Request;

    fn parse(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request> {
        Ok(Request::parse(method, target, headers, body))
    }

    fn call(&self, request: &Request) -> Option<Call> {
        if request.path == CLOCK {
            return None;
        }
        let state = locked(&self.state);
        let id = request.text("ScalingGroupId");
        let groups = state.accounts.values().find_map(|account| account.groups.get(id?));
        let region = request.text("RegionId").map(str::to_owned);
        let region = region.or_else(|| groups.map(|group| group.region.clone()));
        let named = || request.text("ScalingGroupNames.1").map(str::to_owned);
        Some(Call {
            at: self.time.now(),
            service: request.product.clone(),
            region: region.unwrap_or_default(),
            access_key: request.access_key.clone(),
            operation: request.operation.clone(),
            parameters: request.parameters.clone(),
            group: groups.map(|group| group.name.clone()).or_else(named),
            fault: None,
            effect: false,
            status: None,
        })
    }

    async fn effect(&self, request: &Request) -> Answer {
        // The signature is recomputed in another process, which blocks.
        tokio::task::block_in_place(|| {
            let now = self.time.now();
            let mut state = locked(&self.state);
            state.tick(now);
            if request.path == CLOCK {
                return plain(200, "text/plain", Bytes::new());
            }
            if request.product == "metadata" {
                let clock = Timestamp(now.0 + state.clock_off);
                let State { metadata, access, ids, .. } = &mut *state;
                return metadata::answer(request, metadata, access, ids, clock);
            }
            match state.answer(request, now) {
                Ok(mut body) => {
                    body["RequestId"] = "7F3C09AA-0000-4000-8000-000000000001".into();
                    json_answer(200, &body)
                }
                Err(refusal) => refusal.answer(),
            }
        })
    }

    fn refuse(&self, request: &Request, how: Refused) -> Answer {
        let refusal = match how {
            Refused::Throttled => Refusal::throttled(request),
            Refused::Broken => Refusal::broken(),
            Refused::Denied => Refusal::denied(request, &request.access_key),
        };
        refusal.answer()
    }

    fn date(&self) -> Option<HeaderValue> {
        let now = self.time.now().0 + locked(&self.state).clock_off;
        let date = jiff::Timestamp::from_second(now).expect("a time");
        let text = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        Some(HeaderValue::from_str(&text).expect("plain text"))
    }
}
