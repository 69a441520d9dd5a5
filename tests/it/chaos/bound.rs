//! No deploy is faster than what the hardware allows: the bounds `cargo bench --bench deploy` compares with are bounds.

#[path = "../../../benches/deploy/bound.rs"]
mod least;
#[expect(dead_code, reason = "the bench looks into what a deploy left behind")]
#[path = "../../../benches/deploy/measure.rs"]
mod measure;

use measure::CASES;

#[test]
fn no_deploy_is_faster_than_its_bound_and_few_things_are_asked_of_the_site() {
    for case in &CASES {
        let scenario = case.scenario();
        for machines in [1, 2, 11] {
            let least = least::bound(case, &scenario, machines);
            for (settle, bound) in [(true, least.settled), (false, least.unsettled)] {
                let measured = case.measure(&scenario, machines, settle);
                let (name, seconds, calls) = (case.name, measured.seconds, measured.calls);
                assert!(seconds >= bound, "{machines} {name} took {seconds} s, which its bound of {bound} s forbids");
                assert!(seconds < bound * 1.3, "{machines} {name} took {seconds} s of at least {bound} s");
                assert!(calls.writes <= 4 * u64::from(machines), "{machines} {name}: {calls:?}");
                assert!(calls.reads <= 2 * u64::from(machines), "{machines} {name}: {calls:?}");
            }
        }
    }
}
