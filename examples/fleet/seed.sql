-- Sample rows, different for each tenant: the demonstration puts a number in place of @SEED. Run again, it adds nothing.
BEGIN;
WITH given(i, name) AS (VALUES (0, 'Ada'), (1, 'Grace'), (2, 'Alan'), (3, 'Edsger'), (4, 'Barbara'), (5, 'Donald'), (6, 'Frances')),
     family(i, name) AS (VALUES (0, 'Ito'), (1, 'Okafor'), (2, 'Silva'), (3, 'Larsen'), (4, 'Novák')),
     town(i, name) AS (VALUES (0, 'Lisbon'), (1, 'Kraków'), (2, 'Nairobi'), (3, '京都')),
     n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 12 + @SEED % 9)
INSERT INTO customer(id, name, city)
  SELECT k, given.name || ' ' || family.name, town.name
  FROM n JOIN given ON given.i = (k + @SEED) % 7 JOIN family ON family.i = (k * 3 + @SEED) % 5
         JOIN town ON town.i = (k * 5 + @SEED) % 4
  WHERE NOT EXISTS (SELECT 1 FROM customer);
INSERT OR IGNORE INTO product(id, name, price_cents)
  VALUES (1, 'tea', 450), (2, 'honey', 890), (3, 'bee hive', 18500), (4, 'candle', 1275), (5, 'gloves', 2300);
WITH n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 150 + @SEED * 7 % 100)
INSERT INTO orders(id, customer_id, product_id, quantity, ordered_on)
  SELECT k, 1 + (k * k * 7 + k / 3 + @SEED) % (12 + @SEED % 9), 1 + (k * 11 + k / 4 + @SEED) % 5, 1 + (k + @SEED) % 4,
         date('2025-01-01', '+' || ((k * 37 + @SEED) % 365) || ' days')
  FROM n
  WHERE NOT EXISTS (SELECT 1 FROM orders);
COMMIT;
