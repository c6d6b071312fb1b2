-- After a certgate database was put back to an earlier state, and before any node is started on it:
--
--   psql -v ON_ERROR_STOP=1 -f after-restore.sql "$DATABASE_URL"
--
-- Epochs go on far behind all that were given, so that an enforcement point which knows of changes that are lost is refused with
-- code 1521 and reads everything again. Every revocation list is made anew by the first node.
BEGIN;

INSERT INTO epoch_gaps (after, until, is_all)
SELECT last_epoch, last_epoch + 4294967296, FALSE FROM store;

UPDATE store SET last_epoch = last_epoch + 4294967296;

UPDATE crl_states SET made_epoch = -1;

COMMIT;
