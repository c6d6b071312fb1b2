-- After a certgate database was put back to an earlier state, and before any node is started on it:
--
--   psql -v ON_ERROR_STOP=1 -f after-restore.sql "$DATABASE_URL"
--
-- Raises the next epoch far above every epoch that was ever given out: an enforcement point that
-- knows lost changes then gets error 1521 and reads everything again. Makes the first node sign
-- every revocation list again.
BEGIN;

INSERT INTO epoch_gaps (after, until, is_all)
SELECT last_epoch, last_epoch + 4294967296, FALSE FROM store;

UPDATE store SET last_epoch = last_epoch + 4294967296;

UPDATE crl_states SET made_epoch = -1;

COMMIT;
