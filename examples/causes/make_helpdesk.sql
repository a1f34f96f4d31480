-- The helpdesk in PostgreSQL, about :mib MiB of tickets and as much in attachments:
--   psql -v mib=300 -f make_helpdesk.sql
\set ON_ERROR_STOP on
\if :{?mib}
\else
  \set mib 300
\endif
SET client_min_messages = warning;
DROP TABLE IF EXISTS tickets, attachments;
CREATE UNLOGGED TABLE tickets (
  id bigint PRIMARY KEY, customer_id integer NOT NULL, opened_at date NOT NULL, subject text NOT NULL,
  body text COMPRESSION lz4 NOT NULL);
INSERT INTO tickets
  SELECT id, id * 7919 % 50000, date '2026-01-01' + (id / 100)::integer, 'Re: printer ' || id % 300,
         repeat('The printer on floor ' || id % 90 || ' prints blank pages only. ', 160)
  FROM generate_series(1, :mib * 137::bigint) AS id;
-- Logs that customers attached, as they came by mail.
CREATE UNLOGGED TABLE attachments (id bigint PRIMARY KEY, name text NOT NULL, content text COMPRESSION lz4 NOT NULL);
INSERT INTO attachments
  SELECT id, 'printer-' || id || '.log',
         encode(convert_to(repeat('2026-05-01 12:00:0' || id % 10 || ' spool: page ' || id || ' is blank' || E'\n',
                                  20000 + 500 * (id % 40)::integer), 'UTF8'), 'base64')
  FROM generate_series(1, greatest(:mib * 2 / 3, 2)) AS id;
