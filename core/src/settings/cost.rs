//! By what bots are priced, and what each may cost.

use super::{Setting, SettingProblem};
use crate::cost::limit::{MAX_LIMIT, MIN_LIMIT};
use crate::cost::money::Money;
use crate::cost::prices::Instance;

/// What runs a bot.
pub const INSTANCE_TYPE: Setting = Setting {
    name: "INSTANCE_TYPE",
    meaning: "the instance_type of the container, by which bots are priced: standard-1 (so when left out), or vcpu=1,memory_mib=3072,disk_mb=8000",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// What a bot may cost.
pub const BOT_MONTHLY_LIMIT: Setting = Setting {
    name: "BOT_MONTHLY_LIMIT",
    meaning: "dollars that a bot may cost in a month before it is put to sleep, for example 25 or 12.50",
    how: "set it under [vars] in wrangler.toml, or leave it out for no limit",
};

/// The type of `wrangler.toml` as it is shipped.
const DEFAULT_INSTANCE_TYPE: &str = "standard-1";

/// By what bots are priced, and what each may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostSettings {
    /// The instance type, as it was written.
    pub instance_type: String,
    /// What it has.
    pub instance: Instance,
    /// What a bot may cost in a month, unless an admin decided otherwise.
    pub monthly_limit: Option<Money>,
}

/// Reads them.
pub(super) fn read(
    given: impl Fn(Setting) -> Option<String>,
    problems: &mut Vec<SettingProblem>,
) -> Option<CostSettings> {
    let instance_type = given(INSTANCE_TYPE).unwrap_or_else(|| DEFAULT_INSTANCE_TYPE.to_owned());
    let instance_type = instance_type.trim().to_owned();
    let instance = Instance::parse(&instance_type);
    if instance.is_none() {
        problems.push(SettingProblem {
            setting: INSTANCE_TYPE,
            reason: "is no instance type: lite, basic, standard-1 to standard-4, or vcpu=1,memory_mib=3072,disk_mb=8000",
        });
    }
    let limit = given(BOT_MONTHLY_LIMIT);
    let monthly_limit = limit.as_deref().map(|text| {
        let limit = Money::parse_dollars(text.trim());
        limit.filter(|limit| (MIN_LIMIT..=MAX_LIMIT).contains(limit))
    });
    if monthly_limit == Some(None) {
        problems.push(SettingProblem {
            setting: BOT_MONTHLY_LIMIT,
            reason: "is no amount of dollars from 0.01 to 1000000, such as 25 or 12.50",
        });
    }
    Some(CostSettings {
        instance_type,
        instance: instance?,
        monthly_limit: monthly_limit.flatten(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_these(instance: &str, limit: &str) -> Result<CostSettings, Vec<&'static str>> {
        let mut problems = Vec::new();
        let given = |setting: Setting| {
            let value = if setting == INSTANCE_TYPE { instance } else { limit };
            (!value.is_empty()).then(|| value.to_owned())
        };
        let read = read(given, &mut problems);
        match read {
            Some(read) if problems.is_empty() => Ok(read),
            _ => Err(problems.iter().map(|problem| problem.setting.name).collect()),
        }
    }

    #[test]
    fn without_a_word_bots_are_standard_and_have_no_limit() {
        let read = read_these("", "").unwrap();
        assert_eq!((read.instance.memory_mib, read.monthly_limit), (4_096, None));
    }

    #[test]
    fn a_type_and_a_limit_are_read_or_named() {
        let read = read_these(" standard-2 ", " 12.50 ").unwrap();
        assert_eq!(read.instance.memory_mib, 6_144);
        assert_eq!(read.monthly_limit, Some(Money::of_micro(12_500_000)));
        assert_eq!(read_these("huge", "1"), Err(vec!["INSTANCE_TYPE"]));
        for limit in ["0", "0.009", "-1", "a lot", "1000001", "1e3"] {
            assert_eq!(
                read_these("basic", limit),
                Err(vec!["BOT_MONTHLY_LIMIT"]),
                "{limit}"
            );
        }
    }
}
