import Fastify from 'fastify';

// The baseline of the redirects bench. It runs in a separate process: Fastify with the same response headers and one fixed target.

const app = Fastify({ keepAliveTimeout: 75_000, logger: false });
app.get('/u/:name', (_request, reply) =>
  reply
    .code(302)
    .header('cache-control', 'no-store')
    .header('x-robots-tag', 'noindex')
    .header('referrer-policy', 'no-referrer')
    .header('location', 'https://shop.example/autumn/1?utm_source=newsletter&utm_campaign=autumn')
    .header('x-link', '1.1')
    .send(),
);
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
process.once('SIGTERM', () => void app.close());
