/**
 * Objects of the API, as far as the console reads them.
 *
 * @typedef {object} Zone
 * @property {string} id
 * @property {string} name
 * @property {{ id: string, name: string } | null} account `null` if the token may not read the
 *   zone.
 *
 * @typedef {object} ResultInfo
 * @property {number} page
 * @property {number} per_page
 * @property {number} count
 * @property {number} total_count
 * @property {number} total_pages
 * @property {string} [continue] Continues a search.
 * @property {{ after?: string, before?: string }} [cursors]
 * @property {string} [cursor]
 *
 * @typedef {object} Message
 * @property {number} code
 * @property {string} message
 *
 * @typedef {object} ErrorItem
 * @property {number} code
 * @property {string} message
 * @property {string} [documentation_url]
 * @property {{ pointer: string }} [source]
 * @property {string} [continue]
 *
 * @typedef {'active' | 'pending_reactivation' | 'pending_revocation' | 'revoked'} CertificateStatus
 *
 * @typedef {object} ClientCertificate
 * @property {string} id
 * @property {string} certificate PEM.
 * @property {{ id: string, name: string }} certificate_authority
 * @property {string} common_name
 * @property {string} country
 * @property {string} csr
 * @property {string} expires_on
 * @property {string} fingerprint_sha256
 * @property {string} issued_on
 * @property {string} location
 * @property {string} organization
 * @property {string} organizational_unit
 * @property {string} serial_number
 * @property {string} signature
 * @property {string} ski
 * @property {string} state
 * @property {CertificateStatus} status
 * @property {number} validity_days
 * @property {CertificateLine} [certgate]
 *
 * @typedef {object} CertificateLine The neighbours of a certificate in its line of renewals.
 * @property {string} [replaces] The ID of the certificate that it replaced.
 * @property {string} [replaced_by] The ID of the certificate that replaced it.
 *
 * @typedef {object} CertificateEvent
 * @property {'issued' | 'revoked' | 'restored' | 'settled'} action
 * @property {string} at
 * @property {{ type: string, id: string | null, name: string | null }} actor
 * @property {string | null} address
 * @property {string | null} reason
 * @property {number | null} audit_entry
 * @property {number | null} epoch
 *
 * @typedef {object} DayCount
 * @property {string} date Such as `2026-12-01`, a day in UTC.
 * @property {number} count
 *
 * @typedef {object} Totals
 * @property {number} active
 * @property {number} pending_reactivation
 * @property {number} pending_revocation
 * @property {number} revoked
 *
 * @typedef {object} EnforcementPoint
 * @property {string} id
 * @property {string} name
 * @property {number} lease_seconds
 * @property {string[]} covers
 * @property {'serve' | 'refuse'} when_stale
 * @property {number} forget_seconds
 * @property {number} acknowledged_epoch
 * @property {number} last_epoch
 * @property {'current' | 'lagging' | 'silent'} status
 * @property {string} seen_on
 * @property {string} registered_on
 *
 * @typedef {object} FeedChange A line of the stream of changes.
 * @property {number} epoch
 * @property {boolean} [configuration] Hostnames or CAs changed.
 * @property {boolean} [revoked]
 * @property {string} [fingerprint_sha256]
 * @property {string} [serial_number]
 * @property {string} [certificate_authority_id]
 *
 * @typedef {object} Caller
 * @property {'token' | 'api_key'} type
 * @property {string | null} id
 * @property {string} name
 * @property {string | null} expires_on
 * @property {import('./issuance-rules.js').IssuanceRules | null} issuance_rules Of the token.
 *
 * @typedef {object} Permission A permission of the caller, and the places where it has it.
 * @property {string} id
 * @property {string} name
 * @property {'com.cloudflare.api.user' | 'com.cloudflare.api.account'
 *   | 'com.cloudflare.api.account.zone'} scope
 * @property {boolean} everywhere
 * @property {string[]} accounts
 * @property {string[]} zones
 * @property {string[]} except_accounts
 * @property {string[]} except_zones
 */
