-- Run this after you have restored a certgate database to an earlier state, and before you start a
-- node on it:
--
--   psql -v ON_ERROR_STOP=1 -f after-restore.sql "$DATABASE_URL"
--
-- New epochs then begin far above every epoch that was given out. certgate answers an enforcement
-- point that knows a lost change with code 1521, and the enforcement point reads everything again.
-- The first node renews every revocation list.
BEGIN;

INSERT INTO epoch_gaps (after, until, is_all)
SELECT last_epoch, last_epoch + 4294967296, FALSE FROM store;

UPDATE store SET last_epoch = last_epoch + 4294967296;

-- A CA whose first certificates are lost looks unused, and would make room for a new one.
UPDATE authorities SET has_signed = TRUE;

UPDATE crl_states SET made_epoch = -1;

COMMIT;
