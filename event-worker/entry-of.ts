/** Returns the value of a key in a map. If there is none, creates it and adds it. */
export function entryOf<K, V>(map: Map<K, V>, key: K, create: (key: K) => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create(key);
    map.set(key, value);
  }
  return value;
}
