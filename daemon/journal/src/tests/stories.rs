//! What cycles said, read back long after.

use fleet::ServiceName;

use super::*;

fn story(services: usize, n: usize, name: &ServiceName) -> Explanation {
    let turn = turn(services, n);
    Explanation::new(name, &turn.snapshot, &turn.plan, (&policy(services), &turn.memory))
}

#[test]
fn stories_are_read_by_cycle_and_service_and_cycles_in_brief_newest_first() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 9, 0..90);
        // As the next day's compaction and another process leave them.
        bench.record(&journal, 9, 1440..1442);
        let all = Timestamp(0)..Timestamp(i64::MAX);
        let reader = journal.reader();
        let acted = bench.wrote.iter().filter(|(_, turn, _)| !turn.plan.actions.is_empty());
        assert!(acted.count() > 3);
        for (n, (id, turn, _)) in bench.wrote.iter().enumerate() {
            let minute = if n < 90 { n } else { 1440 + n - 90 };
            for service in turn.snapshot.services.keys() {
                let expected = turn.plan.actions.iter().find(|a| a.service == *service);
                let expected = expected.map(|_| story(9, minute, service));
                assert_eq!(reader.story(*id, service).unwrap(), expected);
            }
        }
        let briefs = reader.cycles_in_brief(bench.wrote[1].0.at()..all.end).unwrap().unwrap();
        let briefs: Vec<CycleInBrief> = briefs.collect::<Result<_, _>>().unwrap();
        let ids: Vec<CycleId> = bench.wrote[1..].iter().rev().map(|(id, ..)| *id).collect();
        assert_eq!(briefs.iter().map(|brief| brief.id).collect::<Vec<_>>(), ids);
        for (brief, (_, turn, _)) in briefs.iter().zip(bench.wrote[1..].iter().rev()) {
            let acted: Vec<_> = brief.told.iter().filter_map(|told| told.action.as_ref()).collect();
            assert_eq!((brief.services, acted), (9, turn.plan.actions.iter().collect()));
        }
        assert_eq!(reader.cycle_in_brief(ids[0]).unwrap().as_ref(), briefs.first());
        assert_eq!(reader.cycle_in_brief(CycleId(ids[0].0.successor())), Ok(None));
    });
}

#[test]
fn what_only_the_shadow_would_have_acted_on_has_a_story_too() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        let names: Vec<ServiceName> = turn(9, 0).snapshot.services.into_keys().collect();
        bench.record(&journal, 9, 0..1);
        let quiet = |turn: &Turn, name: &ServiceName| {
            !turn.plan.actions.iter().any(|action| action.service == *name)
        };
        let (id, first, _) = &bench.wrote[0];
        let held: Vec<&ServiceName> = names.iter().filter(|name| quiet(first, name)).collect();
        let id = *id;
        journal.record_shadow_stories(id, vec![story(9, 0, held[0])]).unwrap();
        bench.record(&journal, 9, 1..3);
        let reader = journal.reader();
        assert_eq!(reader.story(id, held[0]).unwrap(), Some(story(9, 0, held[0])));
        assert_eq!(reader.story(id, held[1]).unwrap(), None);
        for (later, turn, _) in &bench.wrote[1..] {
            if quiet(turn, held[0]) {
                assert_eq!(reader.story(*later, held[0]).unwrap(), None);
            }
        }
        let briefs = reader.cycles_in_brief(id.at()..Timestamp(i64::MAX)).unwrap().unwrap();
        assert_eq!(briefs.count(), 3);
        assert_eq!(reader.verify().unwrap().damage, []);
    });
}
