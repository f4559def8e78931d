import { parentPort, workerData } from 'node:worker_threads';
import { ADDRESS_END, type AddressPlan, createAddresses, RECIPIENT_END } from './letter-addresses.ts';

// The program of the thread that `startAddressThread` starts.

const addressesOf = createAddresses(workerData as AddressPlan);

parentPort?.on('message', (recipients: Float64Array) => {
  const lines = Array.from(recipients, (recipient) => {
    const { links, pixel } = addressesOf(recipient);
    return (pixel === undefined ? links : [...links, pixel]).join(ADDRESS_END);
  });
  parentPort?.postMessage(lines.join(RECIPIENT_END));
});
