use certgate_model::{
    AccountId, Effect, PermissionGroup, Place, Policy, Resource, Scope, UserId, ZoneId,
    allow_grant, allows, visible,
};

const A: AccountId = AccountId::from_bytes([0xa0; 16]);
const B: AccountId = AccountId::from_bytes([0xb0; 16]);
/// An account that no policy names: it is made later.
const LATER: AccountId = AccountId::from_bytes([0xff; 16]);

/// Every zone with its account. No policy names those of the last column.
const ZONES: [(ZoneId, AccountId); 6] = [
    (ZoneId::from_bytes([0xa1; 16]), A),
    (ZoneId::from_bytes([0xa2; 16]), A),
    (ZoneId::from_bytes([0xb1; 16]), B),
    (ZoneId::from_bytes([0xaf; 16]), A),
    (ZoneId::from_bytes([0xbf; 16]), B),
    (ZoneId::from_bytes([0xff; 16]), LATER),
];

const USERS: [UserId; 2] = [UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16])];

/// The resources that policies can name.
const RESOURCES: [Resource; 11] = [
    Resource::AllAccounts,
    Resource::AllZones,
    Resource::Account(A),
    Resource::Account(B),
    Resource::ZonesOfAccount(A),
    Resource::ZonesOfAccount(B),
    Resource::Zone(ZONES[0].0),
    Resource::Zone(ZONES[1].0),
    Resource::Zone(ZONES[2].0),
    Resource::User(USERS[0]),
    Resource::User(USERS[1]),
];

/// One object that exists or is made later.
#[derive(Debug, Clone, Copy)]
enum Object {
    User(UserId),
    Account(AccountId),
    Zone(ZoneId, AccountId),
}

/// Evaluates the policies of a token, and compares every decision with the plain meaning of the
/// policies on single objects. Each policy is one octet for the effect and the numbers of groups
/// and resources, and one octet for each of these.
pub fn policies(input: &[u8]) {
    let policies = read(input);
    for group in PermissionGroup::ALL {
        decisions(&policies, group);
        lists(&policies, group);
        grants(&policies, group);
    }
}

fn read(mut input: &[u8]) -> Vec<Policy> {
    let mut policies = Vec::new();
    while let [head, rest @ ..] = input {
        let groups = usize::from(head >> 1 & 3).min(rest.len());
        let (groups, rest) = rest.split_at(groups);
        let resources = usize::from(head >> 3 & 3).min(rest.len());
        let (resources, rest) = rest.split_at(resources);
        let group = |octet: &u8| {
            let all = PermissionGroup::ALL;
            all[usize::from(*octet) % all.len()]
        };
        let resource = |octet: &u8| RESOURCES[usize::from(*octet) % RESOURCES.len()];
        policies.push(Policy {
            id: String::new(),
            effect: match head & 1 {
                0 => Effect::Allow,
                _ => Effect::Deny,
            },
            permission_groups: groups.iter().map(group).collect(),
            resources: resources.iter().map(resource).collect(),
        });
        input = rest;
    }
    policies
}

/// The objects of a group's scope.
fn objects(group: PermissionGroup) -> Vec<Object> {
    match group.scope() {
        Scope::User => USERS.map(Object::User).to_vec(),
        Scope::Account => [A, B, LATER].map(Object::Account).to_vec(),
        Scope::Zone => ZONES
            .map(|(zone, account)| Object::Zone(zone, account))
            .to_vec(),
    }
}

/// The meaning of a resource: the objects that it names.
fn names(resource: Resource, object: Object) -> bool {
    match object {
        Object::User(user) => resource == Resource::User(user),
        Object::Account(account) => {
            [Resource::AllAccounts, Resource::Account(account)].contains(&resource)
        }
        Object::Zone(zone, account) => [
            Resource::AllAccounts,
            Resource::AllZones,
            Resource::Account(account),
            Resource::ZonesOfAccount(account),
            Resource::Zone(zone),
        ]
        .contains(&resource),
    }
}

/// The permission whose name has the other word at its end, if there is one.
fn other(group: PermissionGroup, from: &str, to: &str) -> Option<PermissionGroup> {
    let stem = group.name().strip_suffix(from)?;
    let is_other = |other: &PermissionGroup| other.name().strip_suffix(to) == Some(stem);
    PermissionGroup::ALL.into_iter().find(is_other)
}

/// Parts of Cloudflare's groups: the permission, the groups that grant it, and those whose denial
/// denies it.
const PARTS: [(&str, &[&str], &[&str]); 4] = [
    (ISSUE, &[SSL_WRITE], &[SSL_READ, SSL_WRITE]),
    (READ, &[SSL_READ, SSL_WRITE], &[SSL_READ]),
    (RESTORE, &[SSL_WRITE], &[SSL_READ, SSL_WRITE]),
    (REVOKE, &[SSL_WRITE], &[SSL_READ, SSL_WRITE]),
];
const ISSUE: &str = "Client Certificates Issue";
const READ: &str = "Client Certificates Read";
const RESTORE: &str = "Client Certificates Restore";
const REVOKE: &str = "Client Certificates Revoke";
const SSL_READ: &str = "SSL and Certificates Read";
const SSL_WRITE: &str = "SSL and Certificates Write";

/// The other groups whose `Allow` allows a group, and whose `Deny` denies it: for a read
/// permission, the write permission allows it, and to deny it denies the write permission.
fn others(group: PermissionGroup) -> (Vec<&'static str>, Vec<&'static str>) {
    if let Some((_, above, below)) = PARTS.iter().find(|(part, ..)| *part == group.name()) {
        return (above.to_vec(), below.to_vec());
    }
    let name = |group: PermissionGroup| group.name();
    let above = Vec::from_iter(other(group, "Read", "Write").map(name));
    let mut below = Vec::from_iter(other(group, "Write", "Read").map(name));
    match group.name() {
        SSL_READ => below.push(READ),
        SSL_WRITE => below.extend([ISSUE, READ, RESTORE, REVOKE]),
        _ => {}
    }
    (above, below)
}

/// The meaning of a token on one object: a permission, or one above it, is allowed, and neither it
/// nor one below it is denied.
fn allowed(policies: &[Policy], group: PermissionGroup, object: Object) -> bool {
    let (above, below) = others(group);
    let has = |effect: Effect, others: &[&str]| {
        policies.iter().any(|policy| {
            let mut groups = policy.permission_groups.iter();
            policy.effect == effect
                && groups.any(|named| *named == group || others.contains(&named.name()))
                && policy
                    .resources
                    .iter()
                    .any(|resource| names(*resource, object))
        })
    };
    has(Effect::Allow, &above) && !has(Effect::Deny, &below)
}

fn decisions(policies: &[Policy], group: PermissionGroup) {
    let objects = objects(group);
    for object in &objects {
        let expected = allowed(policies, group, *object);
        let place = match *object {
            Object::User(user) => Place::User(user),
            Object::Account(account) => Place::Account(account),
            Object::Zone(zone, account) => Place::Zone(zone, Some(account)),
        };
        assert_eq!(
            allows(policies, group, place),
            expected,
            "{group:?} {object:?} {policies:?}"
        );
        if let Object::Zone(zone, _) = *object {
            let without_account = allows(policies, group, Place::Zone(zone, None));
            assert!(
                expected || !without_account,
                "{group:?} {zone} {policies:?}"
            );
        }
    }
    if group.scope() != Scope::User {
        let everywhere = objects
            .iter()
            .all(|object| allowed(policies, group, *object));
        let decided = allows(policies, group, Place::EveryAccount);
        assert_eq!(decided, everywhere, "{group:?} {policies:?}");
    }
    if group.scope() == Scope::Zone {
        for account in [A, B, LATER] {
            let in_account =
                |object: &&Object| matches!(object, Object::Zone(_, of) if *of == account);
            let all = objects
                .iter()
                .filter(in_account)
                .all(|object| allowed(policies, group, *object));
            // A denied zone may be in any account, so it may refuse more.
            let decided = allows(policies, group, Place::ZonesOf(account));
            assert!(all || !decided, "{group:?} {account} {policies:?}");
        }
    }
}

fn lists(policies: &[Policy], group: PermissionGroup) {
    let list = visible(policies, group);
    for object in objects(group) {
        let shown = match (object, &list) {
            (_, None) => false,
            (Object::User(_), _) => continue,
            (Object::Account(account), Some(list)) => {
                (list.all || list.accounts.contains(&account))
                    && !list.except_accounts.contains(&account)
            }
            (Object::Zone(zone, account), Some(list)) => {
                (list.all || list.accounts.contains(&account) || list.zones.contains(&zone))
                    && !list.except_accounts.contains(&account)
                    && !list.except_zones.contains(&zone)
            }
        };
        let user = matches!(object, Object::User(_));
        let expected = allowed(policies, group, object);
        assert!(
            user || shown == expected,
            "{group:?} {object:?} {list:?} {policies:?}"
        );
    }
}

/// A token that these policies may make allows nothing that they do not allow.
fn grants(policies: &[Policy], group: PermissionGroup) {
    for resource in RESOURCES {
        let is_it = |(zone, _): &&(ZoneId, AccountId)| resource == Resource::Zone(*zone);
        let account = ZONES.iter().find(is_it).map(|(_, account)| *account);
        // The account of a zone may be unknown.
        let mut known = [None, account].into_iter();
        if !known.any(|zones_of| allow_grant(policies, group, resource, zones_of)) {
            continue;
        }
        let granted = [Policy {
            id: String::new(),
            effect: Effect::Allow,
            permission_groups: vec![group],
            resources: vec![resource],
        }];
        for needed in PermissionGroup::ALL {
            for object in objects(needed) {
                assert!(
                    !allowed(&granted, needed, object) || allowed(policies, needed, object),
                    "{group:?} {resource} gives {needed:?} {object:?} to {policies:?}"
                );
            }
        }
    }
}
