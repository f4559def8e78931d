import { capacityTable, inputTable, MAILS } from './scale-tables.ts';

// `npm run scale [-- --mails N]…` prints the tables of docs/scale.md, or the capacity for other numbers of mails a day.

const args = process.argv.slice(2);
const mails: number[] = [];
for (let i = 0; i < args.length; i += 2) {
  const value = Number(args[i + 1]);
  if (args[i] !== '--mails' || !Number.isSafeInteger(value) || value < 1) {
    process.stderr.write(`unknown argument '${args.slice(i, i + 2).join(' ')}'. Usage: npm run scale -- --mails 50000000\n`);
    process.exit(2);
  }
  mails.push(value);
}
process.stdout.write(`${inputTable()}\n\n${capacityTable(mails.length > 0 ? mails : MAILS)}\n`);
