import { type Command, Option } from 'commander';
import { findCampaign } from '../../authoring/campaigns.ts';
import type { Pool } from '../../core/postgres.ts';
import { VERDICTS } from '../../core/rules.ts';
import { EVENT_KINDS } from '../../feed/filter.ts';
import type { Subscription } from '../../feed/subscription.ts';
import { tryReceiver } from '../../forwarder/try-receiver.ts';
import {
  addSubscription,
  type Beginning,
  findSubscription,
  pauseSubscription,
  readSubscriptionStatus,
  removeSubscription,
  resumeSubscription,
  rotateSecret,
  type SubscriptionStatus,
} from '../../operating/subscriptions.ts';
import { configOf, type GlobalOptions, timeOf, withPool } from '../context.ts';
import { note, printJson, printTable, shortTime } from '../output.ts';
import { listOf, wholeNumber } from './filter-options.ts';

// The command `subscription`: says which other systems get events. The forwarder delivers them.

interface AddOptions {
  to: string;
  kind: string;
  campaign?: string[];
  verdict: string;
  from: string;
  wait: number;
  batch: number;
  withAddresses?: true;
  secret?: string;
}

const ADD_HELP = `
Receivers:
  https://…      a webhook: batches of events as JSON, signed as https://www.standardwebhooks.com says
  postgres://…   tables of another Postgres, in the schema clickledger: each event exactly once
  nats://…       a stream of NATS: each event exactly once; nats://host:4222/SUBJECT-PREFIX?stream=NAME, and &create to create the stream

A click is delivered when it is as old as --wait, because until then it may turn out to be part of a burst of a machine. If its verdict
changes later, the receiver gets a message verdict.changed.

Examples:
  clickledger subscription add crm --to https://crm.example/hooks/clickledger
  clickledger subscription add warehouse --to postgres://loader:secret@dwh/marketing --verdict any --from everything
  clickledger subscription add sales --to https://sales.example/hook --kind click --campaign "Spring sale" --with-addresses`;

export function addSubscriptionCommand(program: Command): void {
  const subscription = program.command('subscription').description('deliver events to other systems: webhooks, Postgres, NATS');

  subscription
    .command('add <name>')
    .description('add a subscription; for a webhook, print the secret with which it is signed')
    .requiredOption('--to <url>', 'the receiver')
    .option('--kind <kinds>', `which events, separated by commas: ${EVENT_KINDS.join(', ')}`, EVENT_KINDS.join(','))
    .option('--campaign <name...>', 'only events of these campaigns, by name or number')
    .option('--verdict <verdicts>', 'only hits with these verdicts, separated by commas, e.g. human,unsure; any: all', 'human')
    .option('--from <when>', 'now, everything, or a time: earlier events are left out', 'now')
    .option('--wait <seconds>', 'the age that a click must have', wholeNumber(0, 86_400), 60)
    .option('--batch <number>', 'the largest number of events in one delivery', wholeNumber(1, 10_000), 500)
    .option('--with-addresses', 'deliver mail address and external id of recipients, too')
    .addOption(new Option('--secret <secret>', 'the secret of a webhook (default: a new one)'))
    .addHelpText('after', ADD_HELP)
    .action(async (name: string, options: AddOptions, command: Command) => {
      const { CATALOG_URL, SHARDS } = await configOf(command, ['CATALOG_URL', 'SHARDS']);
      const beginning = await beginningOf(command, options.from);
      const added = await withPool(CATALOG_URL, async (pool) =>
        addSubscription(pool, SHARDS, CATALOG_URL, {
          name,
          target: options.to,
          filter: {
            kinds: listOf(options.kind, EVENT_KINDS, '--kind'),
            campaigns: options.campaign === undefined ? null : await campaignsOf(pool, options.campaign),
            verdicts: options.verdict === 'any' ? null : listOf(options.verdict, VERDICTS, '--verdict'),
            since: beginning instanceof Date ? beginning : null,
            waitMs: options.wait * 1000,
          },
          beginning,
          batch: options.batch,
          withAddresses: options.withAddresses ?? false,
          secret: options.secret,
        }),
      );
      if (command.optsWithGlobals<GlobalOptions>().json) return printJson({ name, secret: added.secret ?? null });
      note(`subscription '${name}' is added; a running forwarder begins within seconds`);
      if (added.secret !== undefined) process.stdout.write(`${added.secret}\n`);
    });

  subscription
    .command('list')
    .description('list all subscriptions')
    .addHelpText('after', '\nExample:\n  clickledger subscription list')
    .action(async (_options: object, command: Command) => {
      const all = await readAll(command);
      if (command.optsWithGlobals<GlobalOptions>().json) return printJson(all.map(({ subscription: s }) => describe(s)));
      printTable(
        ['name', 'to', 'events', 'campaigns', 'verdicts', 'since', 'wait', 'state'],
        all.map((status) => {
          const { name, target, filter } = status.subscription;
          return [
            name,
            shown(target),
            filter.kinds.join(','),
            filter.campaigns?.join(',') ?? 'all',
            filter.verdicts?.join(',') ?? 'any',
            shortTime(filter.since),
            `${filter.waitMs / 1000} s`,
            stateOf(status),
          ];
        }),
      );
    });

  subscription
    .command('status')
    .description('show what was delivered, what waits, and what fails')
    .addHelpText('after', '\nExamples:\n  clickledger subscription status\n  clickledger subscription status --json')
    .action(async (_options: object, command: Command) => {
      const all = await readAll(command);
      if (command.optsWithGlobals<GlobalOptions>().json)
        return printJson(
          all.map((s) => ({
            name: s.subscription.name,
            state: stateOf(s),
            delivered: s.delivered,
            due_bytes: s.dueBytes,
            lag_seconds: s.lagSeconds,
            succeeded_at: s.succeededAt,
            failing_since: s.failingSince,
            last_error: s.lastError,
            pause_reason: s.pauseReason,
            reported_at: s.reportedAt,
          })),
        );
      printTable(
        ['name', 'state', 'delivered', 'bytes of logs due', 'lag', 'last success', 'failing since', 'reason'],
        all.map((s) => [
          s.subscription.name,
          stateOf(s),
          s.delivered,
          s.dueBytes,
          `${s.lagSeconds.toFixed(1)} s`,
          shortTime(s.succeededAt),
          shortTime(s.failingSince),
          s.pauseReason ?? s.lastError,
        ]),
      );
    });

  const change = (name: string, description: string, work: (pool: Pool, name: string) => Promise<void>, done: string): void => {
    subscription
      .command(`${name} <name>`)
      .description(description)
      .addHelpText('after', `\nExample:\n  clickledger subscription ${name} crm`)
      .action(async (wanted: string, _options: object, command: Command) => {
        const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
        await withPool(CATALOG_URL, (pool) => work(pool, wanted));
        if (command.optsWithGlobals<GlobalOptions>().json) printJson({ name: wanted });
        else note(`subscription '${wanted}' ${done}`);
      });
  };
  change('pause', 'stop the deliveries; what is due waits', pauseSubscription, 'is paused');
  change('resume', 'continue the deliveries where they stopped', resumeSubscription, 'continues');
  change('remove', 'remove a subscription, and what is known about its deliveries', removeSubscription, 'is removed');

  subscription
    .command('rotate <name>')
    .description('print a new secret of a webhook; deliveries are signed with it and with the one before, until the next rotation')
    .addHelpText('after', '\nExample:\n  clickledger subscription rotate crm')
    .action(async (name: string, _options: object, command: Command) => {
      const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
      const secret = await withPool(CATALOG_URL, (pool) => rotateSecret(pool, name));
      if (command.optsWithGlobals<GlobalOptions>().json) printJson({ name, secret });
      else process.stdout.write(`${secret}\n`);
    });

  subscription
    .command('test <name>')
    .description('try the receiver once: a webhook gets a message of the type test, of other receivers the ledger is read')
    .addHelpText(
      'after',
      '\nThe attempt is made from this machine. Exit code 3: it failed.\n\nExample:\n  clickledger subscription test crm',
    )
    .action(async (name: string, _options: object, command: Command) => {
      const config = await configOf(command, ['CATALOG_URL', 'SHARDS', 'FORWARDER_NETWORKS', 'NATS_CA_FILE']);
      const attempt = await withPool(config.CATALOG_URL, async (pool) =>
        tryReceiver(await findSubscription(pool, name), pool, config.SHARDS.first.name, config.FORWARDER_NETWORKS, config.NATS_CA_FILE),
      );
      if (attempt.error !== undefined) process.exitCode = 3;
      if (command.optsWithGlobals<GlobalOptions>().json)
        return printJson({
          name,
          ok: attempt.error === undefined,
          status: attempt.status ?? null,
          error: attempt.error ?? null,
          milliseconds: attempt.milliseconds,
        });
      note(attempt.error === undefined ? `the receiver accepts deliveries (${attempt.milliseconds} ms)` : `failed: ${attempt.error}`);
    });
}

async function readAll(command: Command): Promise<SubscriptionStatus[]> {
  const { CATALOG_URL } = await configOf(command, ['CATALOG_URL']);
  return withPool(CATALOG_URL, readSubscriptionStatus);
}

function stateOf({ subscription, isHeld, failingSince }: SubscriptionStatus): string {
  if (subscription.pausedAt !== null) return 'paused';
  if (!isHeld) return 'no forwarder';
  return failingSince === null ? 'delivering' : 'failing';
}

const describe = ({ name, target, filter, batch, withAddresses, pausedAt }: Subscription): object => ({
  name,
  to: shown(target),
  kinds: filter.kinds,
  campaigns: filter.campaigns,
  verdicts: filter.verdicts,
  since: filter.since,
  wait_seconds: filter.waitMs / 1000,
  batch,
  with_addresses: withAddresses,
  paused_at: pausedAt,
});

/** A target without its credentials. The path and the query of a webhook may have a token, so of the path only the beginning is shown. */
function shown(target: string): string {
  const { protocol, host, pathname } = new URL(target);
  if (!/^https?:$/.test(protocol)) return `${protocol}//${host}${pathname}`;
  const [, first = '', ...more] = pathname.split('/');
  return `${protocol}//${host}/${first}${more.length === 0 ? '' : '/…'}`;
}

async function beginningOf(command: Command, text: string): Promise<Beginning> {
  if (text === 'now' || text === 'everything') return text;
  return (await timeOf(command, text)).at;
}

async function campaignsOf(pool: Pool, names: readonly string[]): Promise<number[]> {
  const ids: number[] = [];
  for (const name of names) ids.push((await findCampaign(pool, name)).id);
  return ids;
}
