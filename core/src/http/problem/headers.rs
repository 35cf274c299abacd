//! What a refusal says in its headers.

use super::{RATE_PERIOD_SECONDS, Refusal};

impl Refusal {
    /// Seconds after which trying again makes sense, for those refusals that pass by themselves.
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Self::IdentityProviderUnavailable
            | Self::BotStopping
            | Self::BotFailed
            | Self::NotRestored
            | Self::GatewayUnavailable
            | Self::StorageUnavailable => Some(5),
            Self::BotWaking => Some(3),
            Self::NoCapacity => Some(10),
            Self::BotInterrupted => Some(1),
            // By then cron has looked again.
            Self::NotConfigured | Self::BotCrashLooped | Self::PlatformUnhealthy => Some(60),
            Self::DirectoryUnavailable | Self::DnsUnavailable | Self::SessionNotEnded => Some(5),
            Self::TooMany => Some(RATE_PERIOD_SECONDS),
            _ => None,
        }
    }

    /// The `WWW-Authenticate` challenge (RFC 6750 §3), for those that better credentials would cure.
    pub fn challenge(self) -> Option<&'static str> {
        match self {
            Self::SignInRequired | Self::BearerRequired => Some(r#"Bearer realm="moltworker""#),
            // Step-up authentication (RFC 9470 §3).
            Self::SecondFactorRequired => Some(
                r#"Bearer realm="moltworker", error="insufficient_user_authentication", acr_values="aal2""#,
            ),
            Self::TokenExpired | Self::TokenRefused => {
                Some(r#"Bearer realm="moltworker", error="invalid_token""#)
            }
            // A scheme of our own: nobody but a Sandbox has what it asks for.
            Self::IngressSecretRequired => Some(r#"Moltbot-Ingress realm="moltworker""#),
            // What restic speaks (RFC 7617).
            Self::RepositoryTokenRequired | Self::RepositoryTokenExpired | Self::RepositoryTokenRefused => {
                Some(r#"Basic realm="moltworker repository""#)
            }
            _ => None,
        }
    }
}
