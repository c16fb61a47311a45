use std::{
    num::{NonZeroU32, NonZeroU64},
    process::{Command, Stdio},
};

use phalanx_config::Amounts;
use tempfile::TempDir;

use super::{
    group::{cpu_max, cpu_weight},
    hierarchy::folder,
    *,
};

/// A folder with the files of a group: not the root, with these controllers, processes, and controllers passed on.
fn given(controllers: &str, processes: &str, passed_on: &str) -> TempDir {
    let group = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("cgroup.type", "domain\n"),
        ("cgroup.controllers", controllers),
        (PROCESSES, processes),
        (SUBTREE, passed_on),
    ] {
        fs::write(group.path().join(file), text).unwrap();
    }
    group
}

fn ours() -> String {
    format!("{}\n", process::id())
}

fn refusal(group: &TempDir) -> String {
    let error = Tree::open(group.path()).unwrap_err();
    assert!(!error.hint().is_empty());
    chain(&error).to_string().replace(&group.path().display().to_string(), "GROUP")
}

#[test]
fn nothing_is_changed_where_limits_cannot_be_enforced() {
    for (controllers, processes, expected) in [
        ("hugetlb\n", ours(), "cgroup `GROUP` has no controller cpu and memory"),
        ("cpuset cpu io pids\n", ours(), "cgroup `GROUP` has no controller memory"),
        ("cpu memory\n", format!("1\n{}", ours()), "cgroup `GROUP` holds other processes than phalanx"),
        ("cpu memory\n", format!("{}0\n", ours()), "cgroup `GROUP` holds other processes than phalanx"),
    ] {
        let group = given(controllers, &processes, "");
        assert_eq!(refusal(&group), expected);
        assert_eq!(fs::read_to_string(group.path().join(SUBTREE)).unwrap(), "");
        assert_eq!(fs::read_dir(group.path()).unwrap().count(), 4, "{expected}");
    }
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(
        refusal(&nothing),
        "cannot change `GROUP/cgroup.controllers`: No such file or directory (os error 2)"
    );
}

#[test]
fn phalanx_moves_into_a_leaf_and_passes_on_what_replicas_need() {
    let group = given("cpuset cpu io memory\n", &ours(), "cpu\n");
    let tree = Tree::open(group.path()).unwrap();
    let text = |path: &str| fs::read_to_string(tree.folder.join(path)).unwrap();
    assert_eq!(text("phalanx/cgroup.procs"), process::id().to_string());
    assert_eq!(text(SUBTREE), "+cpu +memory");
    assert_eq!(fs::read_to_string(group.path().join(SUBTREE)).unwrap(), "+memory");

    let resources = Resources {
        requests: Amounts { cpu_milli: NonZeroU32::new(500), memory_bytes: NonZeroU64::new(1) },
        limits: Amounts { cpu_milli: NonZeroU32::new(1500), memory_bytes: NonZeroU64::new(1 << 30) },
    };
    let limits = Limits::Enforced(tree);
    let limited = limits.group("api-1", &resources).unwrap().unwrap();
    limited.enter(4711).unwrap();
    let Limits::Enforced(tree) = &limits else { panic!("the tree was opened") };
    let passed_on = tree.folder.join(SUBTREE);
    let text = |path: &str| fs::read_to_string(tree.folder.join("api-1").join(path)).unwrap();
    for (file, expected) in [
        ("cpu.max", "150000 100000"),
        ("cpu.weight", "50"),
        ("memory.max", "1073741824"),
        ("memory.oom.group", "1"),
        (PROCESSES, "4711"),
    ] {
        assert_eq!(text(file), expected, "{file}");
    }
    assert!(limits.group("web-1", &Resources::default()).unwrap().is_none());
    drop(limited);
    assert_eq!(text("cgroup.kill"), "1");

    drop(limits);
    assert_eq!(fs::read_to_string(passed_on).unwrap(), "-cpu -memory");
    assert_eq!(fs::read_to_string(group.path().join(PROCESSES)).unwrap(), process::id().to_string());
    assert_eq!(fs::read_to_string(group.path().join(SUBTREE)).unwrap(), "-memory");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_killed_for_memory_says_so() {
    let home = tempfile::tempdir().unwrap();
    let limits = Amounts { memory_bytes: NonZeroU64::new(4096), ..Amounts::default() };
    for (name, events, expected) in [
        ("killed-1", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 1\n", Some(4096)),
        ("throttled-1", "low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\noom_group_kill 0\n", None),
        ("untold-1", "", None),
    ] {
        let folder = home.path().join(name);
        let group = Group::create(&folder, &Resources { limits, ..Resources::default() }).unwrap();
        fs::write(folder.join("memory.events"), events).unwrap();
        assert_eq!(group.end().await, expected);
    }
}

#[test]
fn amounts_become_what_the_kernel_takes() {
    for (milli, max, weight) in [
        (1, "1000 1000000", 1),
        (9, "9000 1000000", 1),
        (10, "1000 100000", 1),
        (500, "50000 100000", 50),
        (1000, "100000 100000", 100),
        (10_000_000, "1000000000 100000", 10_000),
    ] {
        let milli = NonZeroU32::new(milli).unwrap();
        assert_eq!((cpu_max(milli).as_str(), cpu_weight(milli)), (max, weight));
    }
}

#[test]
fn a_group_is_looked_for_below_the_root_of_its_mount() {
    let mount = Path::new("/sys/fs/cgroup");
    for (path, root, expected) in [
        ("/", "/", Some("/sys/fs/cgroup/")),
        ("/system.slice/phalanx.service", "/", Some("/sys/fs/cgroup/system.slice/phalanx.service")),
        ("/docker/4711", "/docker/4711", Some("/sys/fs/cgroup/")),
        ("/docker/4711/x", "/docker/4711", Some("/sys/fs/cgroup/x")),
        ("/elsewhere", "/docker/4711", None),
    ] {
        assert_eq!(folder(path, root, mount), expected.map(PathBuf::from), "{path} {root}");
    }
}

/// With the kernel's own groups where this machine lets us have some; where not, that is what is told.
#[tokio::test]
async fn the_end_of_a_group_is_the_end_of_everybody_in_it() {
    let parent = own_group().map(|own| own.join(format!("phalanx-test-{}", process::id())));
    let Some(parent) = parent.filter(|parent| fs::create_dir(parent).is_ok()) else {
        let refused = own_group().ok_or(Unenforced::NoHierarchy).and_then(|own| Tree::open(&own));
        assert!(refused.is_err(), "no group can be created, and still they were opened");
        return;
    };
    let group = Group::create(&parent.join("api-1"), &Resources::default()).unwrap();
    let mut leader = Command::new("sh")
        .args(["-c", "read line; setsid sleep 1000 & exec sleep 1000"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    group.enter(leader.id()).unwrap();
    // Only now does it start the other, which leaves its session and group.
    drop(leader.stdin.take());
    let folder = parent.join("api-1");
    let processes = || fs::read_to_string(folder.join(PROCESSES)).unwrap().lines().count();
    tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while processes() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(group.end().await, None);
    assert!(!folder.exists());
    assert!(!leader.wait().unwrap().success());
    fs::remove_dir(parent).unwrap();
}

#[test]
fn what_a_killed_phalanx_left_is_removed_and_what_a_living_one_has_is_not() {
    let group = given("cpu memory\n", &ours(), "");
    let (left, living) = (format!("phalanx-{}", u32::MAX), "phalanx-1".to_owned());
    for name in [&left, &living, &format!("phalanx-{}", process::id()), &"phalanx-x".to_owned()] {
        fs::create_dir(group.path().join(name)).unwrap();
    }
    fs::create_dir(group.path().join(&living).join("api-1")).unwrap();
    remove_abandoned(group.path());
    let mut names: Vec<_> = fs::read_dir(group.path())
        .unwrap()
        .map(|item| item.unwrap())
        .filter(|item| item.path().is_dir() && !item.path().join("cgroup.kill").exists())
        .map(|item| item.file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, [living.as_str(), "phalanx-x"], "the others were killed, as far as a folder can be");
}
