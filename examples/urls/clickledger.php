<?php

/**
 * Makes and checks the URLs of clickledger without a database. No extension beyond hash and json is needed. docs/url-format.md explains the
 * format.
 *
 *     php clickledger.php VECTORS.json     checks this file against docs/url-format.vectors.json
 */

declare(strict_types=1);

namespace Clickledger;

const TAG_ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SQIDS_ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const MIN_SQID_LENGTH = 15;
const MAX_SLUG_LENGTH = 40;
const MAX_NUMBER = 9007199254740991;
const BLOCKED = '/anal|anus|arse|bitch|cock|cunt|dick|fuck|hitler|jizz|kike|nazi|nigga|nigger|penis|piss|porn|puta|rape|shit|slut|tits|twat|whore/i';

/** The shuffle of the Sqids specification. */
function shuffle(string $alphabet): string
{
    $last = strlen($alphabet) - 1;
    for ($i = 0; $i < $last; $i++) {
        $j = $last - $i;
        $r = ($i * $j + ord($alphabet[$i]) + ord($alphabet[$j])) % ($last + 1);
        [$alphabet[$i], $alphabet[$r]] = [$alphabet[$r], $alphabet[$i]];
    }
    return $alphabet;
}

function shuffled(): string
{
    static $shuffled = null;
    return $shuffled ??= shuffle(SQIDS_ALPHABET);
}

function alphabetAt(int $offset): string
{
    return strrev(substr(shuffled(), $offset) . substr(shuffled(), 0, $offset));
}

/** Encodes three numbers as Sqids with at least 15 characters and without blocked words. */
function encodeSqid(array $numbers): string
{
    $start = count($numbers);
    foreach ($numbers as $i => $number) {
        $start += ord(shuffled()[$number % 62]) + $i;
    }
    for ($increment = 0; $increment <= 62; $increment++) {
        $offset = ($start + $increment) % 62;
        $alphabet = alphabetAt($offset);
        $sqid = shuffled()[$offset];
        foreach ($numbers as $i => $number) {
            $digits = '';
            do {
                $digits = $alphabet[1 + $number % 61] . $digits;
                $number = intdiv($number, 61);
            } while ($number > 0);
            $sqid .= $digits;
            if ($i < count($numbers) - 1) {
                $sqid .= $alphabet[0];
                $alphabet = shuffle($alphabet);
            }
        }
        if (strlen($sqid) < MIN_SQID_LENGTH) {
            $sqid .= $alphabet[0];
            $alphabet = shuffle($alphabet);
            $sqid .= substr($alphabet, 0, MIN_SQID_LENGTH - strlen($sqid));
        }
        if (preg_match(BLOCKED, $sqid) === 0) {
            return $sqid;
        }
    }
    throw new \InvalidArgumentException('these numbers have no encoding without a blocked word');
}

/** Returns three numbers, or null if the text is no such encoding. */
function decodeSqid(string $sqid): ?array
{
    $offset = $sqid === '' ? false : strpos(shuffled(), $sqid[0]);
    if ($offset === false) {
        return null;
    }
    $alphabet = alphabetAt($offset);
    $numbers = [];
    $rest = substr($sqid, 1);
    while (count($numbers) < 3) {
        $parts = explode($alphabet[0], $rest, 2);
        $rest = $parts[1] ?? '';
        if ($parts[0] === '') {
            return null;
        }
        $number = 0;
        foreach (str_split($parts[0]) as $digit) {
            $value = strpos($alphabet, $digit);
            if ($value === false) {
                return null;
            }
            $number = $number * 61 + $value - 1;
            if ($number > MAX_NUMBER) {
                return null;
            }
        }
        $numbers[] = $number;
        $alphabet = shuffle($alphabet);
        if (count($parts) === 1) {
            break;
        }
    }
    // What follows the third number is padding. It begins with the first character of the next alphabet.
    return count($numbers) === 3 && ($rest === '' || $rest[0] === $alphabet[0]) ? $numbers : null;
}

/** The product of two 32-bit numbers, modulo 2^32. PHP would turn a larger product into an inexact float. */
function multiply(int $a, int $b): int
{
    return (($a & 0xffff) * $b + (((($a >> 16) * $b) & 0xffff) << 16)) & 0xffffffff;
}

/** The first two characters of a slug. They decide the shard: all slugs of a recipient have the same tag. */
function tagOf(int $link, int $recipient): string
{
    $number = $recipient !== 0 ? $recipient : $link;
    $h = ($number & 0xffffffff) ^ multiply($number >> 32, 0x9e3779b1);
    $h = multiply($h ^ ($h >> 16), 0x85ebca6b);
    $h = multiply($h ^ ($h >> 13), 0xc2b2ae35);
    $h = ($h ^ ($h >> 16)) % (62 * 62);
    return TAG_ALPHABET[intdiv($h, 62)] . TAG_ALPHABET[$h % 62];
}

/** The first 40 bits of SHA-256 over the key and both numbers. */
function checkOf(string $key, int $link, int $recipient): int
{
    if (!preg_match('/^[0-9a-f]{64}$/iD', $key)) {
        throw new \InvalidArgumentException('a key has 64 hex digits; SLUG_KEYS may have several keys, separated by commas');
    }
    return (int) hexdec(substr(hash('sha256', hex2bin($key) . pack('J', $link) . pack('J', $recipient)), 0, 10));
}

/** Returns the slug of a link and a recipient. Recipient 0 means a link that all people share. $key has 64 hex digits. */
function encode(string $key, int $link, int $recipient = 0): string
{
    if ($link < 1 || $link > MAX_NUMBER || $recipient < 0 || $recipient > MAX_NUMBER) {
        throw new \InvalidArgumentException('a link is a whole number from 1, a recipient a whole number from 0');
    }
    return tagOf($link, $recipient) . encodeSqid([checkOf($key, $link, $recipient), $link, $recipient]);
}

/** Returns [link, recipient] if one of the keys signed the slug, otherwise null. */
function verify(array $keys, string $slug): ?array
{
    if (!preg_match('/^[0-9A-Za-z]{5,' . MAX_SLUG_LENGTH . '}$/D', $slug)) {
        return null;
    }
    $numbers = decodeSqid(substr($slug, 2));
    if ($numbers === null) {
        return null;
    }
    [$check, $link, $recipient] = $numbers;
    if ($link === 0 || !str_starts_with($slug, tagOf($link, $recipient))) {
        return null;
    }
    foreach ($keys as $key) {
        if (checkOf($key, $link, $recipient) === $check) {
            return [$link, $recipient];
        }
    }
    return null;
}

function isAlias(string $name): bool
{
    return preg_match('/^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$/D', $name) === 1 && preg_match('/[-_]/', $name) === 1;
}

/** Returns the name of the shard of a tag. $shards is a list of names and first tags. */
function shardOf(array $shards, string $tag): string
{
    $found = '';
    foreach ($shards as [$name, $first]) {
        if (strcmp($first, $tag) <= 0) {
            $found = $name;
        }
    }
    return $found;
}

/** Returns the URLs of the three kinds of links. Which of them works depends on the kind of the link. */
function urls(string $baseUrl, string $key, int $link, int $recipient = 0): array
{
    $slug = encode($key, $link, $recipient);
    $baseUrl = rtrim($baseUrl, '/');
    return ['click' => "$baseUrl/u/$slug", 'pixel' => "$baseUrl/r/$slug.gif", 'unsubscribe' => "$baseUrl/o/$slug"];
}

function main(string $path): void
{
    $vectors = json_decode(file_get_contents($path), true, 512, JSON_THROW_ON_ERROR);
    $keys = $vectors['keys'];
    $count = 0;
    $expect = function (string $what, mixed $found, mixed $wanted) use (&$count): void {
        $count++;
        if ($found !== $wanted) {
            fwrite(STDERR, "$what: " . json_encode($found) . ' instead of ' . json_encode($wanted) . "\n");
            exit(1);
        }
    };
    foreach ($vectors['slugs'] as [$key, $link, $recipient, $slug, $shard]) {
        $expect("slug of $link, $recipient", encode($keys[$key], $link, $recipient), $slug);
        $expect("numbers of $slug", verify($keys, $slug), [$link, $recipient]);
        $expect("shard of $slug", shardOf($vectors['shards'], substr($slug, 0, 2)), $shard);
    }
    foreach ($vectors['other_spellings'] as [$slug, $link, $recipient]) {
        $expect("numbers of $slug", verify($keys, $slug), [$link, $recipient]);
    }
    foreach ($vectors['refused'] as $slug) {
        $expect("numbers of $slug", verify($keys, $slug), null);
    }
    foreach ($vectors['aliases'] as [$name, $valid]) {
        $expect("alias $name", isAlias($name), $valid);
    }
    foreach ($vectors['urls'] as [$key, $link, $recipient, $wanted]) {
        $expect("URLs of $link, $recipient", urls($vectors['base_url'], $keys[$key], $link, $recipient), $wanted);
    }
    echo "$count vectors are right\n";
}

if (realpath($_SERVER['SCRIPT_FILENAME'] ?? '') === __FILE__) {
    if ($argc !== 2) {
        fwrite(STDERR, "usage: php clickledger.php VECTORS.json\n");
        exit(2);
    }
    main($argv[1]);
}
