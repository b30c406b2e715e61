-- filter on int
SELECT id, name FROM crm.customers WHERE id BETWEEN 10 AND 20 AND id <> 13;
-- filter on bigint
SELECT id, code FROM shop.orders WHERE id > 9000000900 AND id <= 9000000999;
-- filter on smallint
SELECT id, units FROM shop.orders WHERE units IN (-10, 0, 7, 50);
-- filter on numeric
SELECT id, balance FROM crm.customers WHERE balance >= 1234.56 OR balance < -9000.01;
-- filter on decimal against a wider literal
SELECT id, total FROM shop.orders WHERE total > 1999.999 AND total < 2500.001;
-- filter on double
SELECT id, score FROM crm.customers WHERE score > 0.5;
-- filter on double equality with NaN
SELECT id, score FROM crm.customers WHERE score = 'NaN'::float8;
-- filter on infinity
SELECT id, score FROM crm.customers WHERE score >= 'Infinity'::float8;
-- filter on MariaDB double
SELECT id, weight FROM shop.orders WHERE weight = 100.125 OR weight < 12.5;
-- filter on SQLite real
SELECT id, rating FROM desk.notes WHERE rating > 4.5;
-- filter on boolean
SELECT id, vip FROM crm.customers WHERE vip;
-- filter on negated boolean
SELECT id, vip FROM crm.customers WHERE NOT vip;
-- boolean IS NOT TRUE
SELECT id, vip FROM crm.customers WHERE vip IS NOT TRUE;
-- filter on date
SELECT id, joined FROM crm.customers WHERE joined >= DATE '2021-06-15' AND joined < DATE '2023-01-01';
-- filter on MariaDB date
SELECT id, placed FROM shop.orders WHERE placed = DATE '2020-02-14' OR placed > DATE '2024-11-20';
-- filter on SQLite date
SELECT id, written FROM desk.notes WHERE written BETWEEN DATE '2020-01-01' AND DATE '2020-12-31';
-- filter on Parquet date
SELECT order_id, line, shipped FROM lake.lineitems WHERE shipped < DATE '2019-06-01';
-- filter on timestamp
SELECT id, seen FROM crm.customers WHERE seen > TIMESTAMP '2022-03-04 05:06:07.89';
-- filter on MariaDB datetime
SELECT id, placed_at FROM shop.orders WHERE placed_at < TIMESTAMP '2019-08-09 10:11:12.131415';
-- filter on Parquet boolean and decimal
SELECT order_id, line, price FROM lake.lineitems WHERE returned AND price > 9000;
-- text equality, PostgreSQL
SELECT id, name FROM crm.customers WHERE name = 'anna';
-- text equality with quote and backslash
SELECT id, name FROM crm.customers WHERE name IN ('O''Neil', 'back\slash', '');
-- text equality keeps trailing spaces apart
SELECT id, name FROM crm.customers WHERE name = 'trailing';
-- text equality, MariaDB case-insensitive column
SELECT id, status FROM shop.orders WHERE status = 'open';
-- text inequality, MariaDB case-insensitive column
SELECT id, status FROM shop.orders WHERE status <> 'open';
-- text IN, MariaDB case-insensitive column
SELECT id, status FROM shop.orders WHERE status IN ('OPEN', 'paid');
-- text NOT IN, MariaDB case-insensitive column
SELECT id, status FROM shop.orders WHERE status NOT IN ('Open', 'paid');
-- text equality, MariaDB PAD SPACE column
SELECT id, method FROM shop.payments WHERE method = 'card';
-- text range, MariaDB binary column
SELECT id, code FROM shop.orders WHERE code >= 'C250' AND code < 'C26';
-- text equality, SQLite NOCASE column
SELECT id, author FROM desk.notes WHERE author = 'Anna';
-- text inequality, SQLite NOCASE column
SELECT id, author FROM desk.notes WHERE author <> 'anna';
-- text range, ICU column
SELECT id, city FROM crm.customers WHERE city > 'M';
-- text range with punctuation
SELECT id, city FROM crm.customers WHERE city BETWEEN '5-' AND '5.';
-- text equality, Parquet
SELECT order_id, line, sku FROM lake.lineitems WHERE sku IN ('bolt-1', 'Bolt-2', 'cog -3', 'ñut-4');
-- LIKE with prefix
SELECT id, name FROM crm.customers WHERE name LIKE 'A%';
-- LIKE with escapes
SELECT id, name FROM crm.customers WHERE name LIKE 'under\_%' OR name LIKE '%\%%';
-- LIKE on a MariaDB case-insensitive column
SELECT id, status FROM shop.orders WHERE status LIKE 'O%';
-- LIKE on SQLite
SELECT id, body FROM desk.notes WHERE body LIKE 'anna%';
-- NOT LIKE
SELECT id, author FROM desk.notes WHERE author NOT LIKE '%a%';
-- ILIKE
SELECT id, name FROM crm.customers WHERE name ILIKE 'ANN%';
-- lower in a filter
SELECT id, city FROM crm.customers WHERE lower(city) = 'lisbon';
-- IS NULL
SELECT id FROM crm.customers WHERE segment IS NULL AND balance IS NOT NULL;
-- IS NULL, MariaDB
SELECT id FROM shop.orders WHERE status IS NULL OR placed IS NULL;
-- IS DISTINCT FROM
SELECT id, segment FROM crm.customers WHERE segment IS DISTINCT FROM 'retail';
-- NOT IN with a NULL in the list [none]
SELECT id FROM crm.customers WHERE segment NOT IN ('retail', NULL);
-- OR across types
SELECT id FROM crm.customers WHERE balance > 9000 OR vip OR joined IS NULL;
-- arithmetic in a filter
SELECT id, units FROM shop.orders WHERE units * 2 + 1 > 90;
-- integer division and modulo
SELECT id, units / 7 AS d, units % 7 AS m FROM shop.orders WHERE units < 0;
-- decimal arithmetic
SELECT id, total * 2 AS twice, total + 0.005 AS more FROM shop.orders WHERE total < 0;
-- CASE
SELECT id, CASE WHEN balance > 0 THEN 'has' WHEN balance < 0 THEN 'owes' ELSE 'none' END AS state FROM crm.customers;
-- COALESCE and NULLIF
SELECT id, coalesce(segment, '?') AS segment, nullif(city, 'Oslo') AS city FROM crm.customers;
-- casts
SELECT id, CAST(balance AS bigint) AS whole, CAST(id AS text) AS label FROM crm.customers WHERE balance IS NOT NULL;
-- extract
SELECT id, extract(year FROM joined) AS y, extract(month FROM joined) AS m FROM crm.customers WHERE joined IS NOT NULL;
-- date_trunc
SELECT date_trunc('month', placed_at) AS month, count(*) AS n FROM shop.orders GROUP BY 1;
-- text functions
SELECT id, upper(name) AS u, length(name) AS l, substr(name, 2, 3) AS s, name || '!' AS c FROM crm.customers;
-- count
SELECT count(*) AS a, count(segment) AS b, count(DISTINCT segment) AS c FROM crm.customers;
-- sum, min, max
SELECT sum(balance) AS s, min(balance) AS l, max(balance) AS h, sum(id) AS i FROM crm.customers;
-- avg, whose digits beyond these PostgreSQL counts otherwise
SELECT CAST(avg(total) AS numeric(20,4)) AS t, CAST(avg(units) AS double precision) AS u, avg(weight) AS w FROM shop.orders;
-- aggregates over no rows
SELECT count(*) AS n, sum(total) AS s, max(placed) AS p FROM shop.orders WHERE id < 0;
-- sums per group, MariaDB
SELECT customer_id, count(*) AS n, sum(total) AS s, sum(units) AS u FROM shop.orders GROUP BY customer_id;
-- GROUP BY a case-insensitive column
SELECT status, count(*) AS n FROM shop.orders GROUP BY status;
-- GROUP BY a padded column
SELECT method, sum(amount) AS s FROM shop.payments GROUP BY method;
-- GROUP BY a NOCASE column
SELECT author, count(*) AS n, min(rating) AS l FROM desk.notes GROUP BY author;
-- GROUP BY an ICU column
SELECT city, count(*) AS n FROM crm.customers GROUP BY city;
-- min and max of text
SELECT min(name) AS a, max(name) AS b FROM crm.customers;
-- min and max of case-insensitive text
SELECT min(status) AS a, max(status) AS b FROM shop.orders;
-- HAVING
SELECT segment, count(*) AS n FROM crm.customers GROUP BY segment HAVING count(*) > 20;
-- DISTINCT
SELECT DISTINCT segment, vip FROM crm.customers;
-- DISTINCT on a case-insensitive column
SELECT DISTINCT status FROM shop.orders;
-- count distinct of case-insensitive text
SELECT count(DISTINCT status) AS n, count(DISTINCT code) AS c FROM shop.orders;
-- aggregate with FILTER
SELECT count(*) FILTER (WHERE vip) AS v, sum(balance) FILTER (WHERE id < 50) AS s FROM crm.customers;
-- TopN on int [ordered]
SELECT id, name FROM crm.customers ORDER BY id DESC LIMIT 10;
-- TopN with NULLs first by default [ordered]
SELECT id, balance FROM crm.customers ORDER BY balance DESC, id LIMIT 15;
-- TopN with NULLs last by default [ordered]
SELECT id, total FROM shop.orders ORDER BY total, id LIMIT 20;
-- all rows, NULLs placed by hand [ordered]
SELECT id, placed FROM shop.orders ORDER BY placed NULLS FIRST, id DESC;
-- TopN on text [ordered]
SELECT name, id FROM crm.customers ORDER BY name, id LIMIT 60;
-- TopN on ICU text [ordered]
SELECT city, id FROM crm.customers ORDER BY city, id LIMIT 70;
-- TopN on case-insensitive text [ordered]
SELECT status, id FROM shop.orders ORDER BY status DESC NULLS LAST, id LIMIT 90;
-- TopN on NOCASE text [ordered]
SELECT author, id FROM desk.notes ORDER BY author, id LIMIT 50;
-- TopN on double with NaN [ordered]
SELECT id, score FROM crm.customers ORDER BY score DESC NULLS LAST, id LIMIT 12;
-- OFFSET [ordered]
SELECT id FROM shop.orders ORDER BY id OFFSET 490 LIMIT 20;
-- LIMIT over a filter that stays local
SELECT count(*) AS n FROM (SELECT id FROM shop.orders WHERE status = 'open' LIMIT 30) s;
-- inner join in one source
SELECT c.id, t.country, t.population FROM crm.customers c JOIN crm.cities t ON t.city = c.city WHERE c.id < 60;
-- inner join in one source, MariaDB
SELECT o.id, p.id AS payment, p.amount FROM shop.orders o JOIN shop.payments p ON p.order_id = o.id WHERE o.units > 20;
-- join on case-insensitive text in one source
SELECT o.id, p.id AS payment FROM shop.orders o JOIN shop.payments p ON p.method = o.status OR p.order_id = o.id;
-- left join
SELECT c.id, o.id AS order_id FROM crm.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id AND o.total > 4000;
-- left join with a filter on the right side
SELECT c.id, o.id AS order_id FROM crm.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id WHERE o.total > 4000 OR o.id IS NULL;
-- left join in one source
SELECT o.id, p.id AS payment FROM shop.orders o LEFT JOIN shop.payments p ON p.order_id = o.id AND p.amount > 500;
-- right join
SELECT n.id, o.code FROM shop.orders o RIGHT JOIN desk.notes n ON n.order_id = o.id;
-- full join
SELECT c.id, n.id AS note FROM crm.customers c FULL JOIN desk.notes n ON n.id = c.id;
-- full join in MariaDB alone
SELECT o.id, p.id AS payment FROM shop.orders o FULL JOIN shop.payments p ON p.order_id = o.id AND p.amount > 800;
-- cross join
SELECT a.city, b.id FROM crm.cities a CROSS JOIN desk.notes b WHERE b.id < 4;
-- join on an inequality
SELECT count(*) AS n FROM crm.customers c JOIN desk.notes n ON n.id < c.id AND n.rating > 4;
-- comma join over three sources
SELECT count(*) AS n, sum(l.quantity) AS q FROM crm.customers c, shop.orders o, lake.lineitems l WHERE c.id = o.customer_id AND o.id = l.order_id;
-- self join
SELECT a.id, b.id AS other FROM crm.customers a JOIN crm.customers b ON a.name = b.name AND a.id < b.id;
-- join on text across sources
SELECT c.id, n.id AS note FROM crm.customers c JOIN desk.notes n ON n.author = c.name WHERE c.id <= 30;
-- semi join with IN
SELECT id FROM crm.customers WHERE id IN (SELECT customer_id FROM shop.orders WHERE total > 4000);
-- semi join with EXISTS
SELECT id FROM shop.orders o WHERE EXISTS (SELECT 1 FROM desk.notes n WHERE n.order_id = o.id AND n.rating > 3);
-- semi join in one source
SELECT id FROM shop.orders o WHERE EXISTS (SELECT 1 FROM shop.payments p WHERE p.order_id = o.id AND p.amount > 300);
-- anti join with NOT EXISTS
SELECT id FROM crm.customers c WHERE NOT EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id);
-- anti join in one source
SELECT id FROM shop.orders o WHERE NOT EXISTS (SELECT 1 FROM shop.payments p WHERE p.order_id = o.id AND p.amount < 700);
-- NOT IN over NULLs [none]
SELECT id FROM crm.customers WHERE id NOT IN (SELECT customer_id FROM shop.orders);
-- NOT IN without NULLs
SELECT id FROM crm.customers WHERE id NOT IN (SELECT customer_id FROM shop.orders WHERE customer_id IS NOT NULL);
-- scalar subquery
SELECT id, balance FROM crm.customers WHERE balance > (SELECT avg(balance) FROM crm.customers);
-- scalar subquery of another source
SELECT id FROM crm.customers WHERE id > (SELECT max(id) - 20 FROM desk.notes) - 100;
-- correlated scalar subquery
SELECT c.id, (SELECT count(*) FROM shop.orders o WHERE o.customer_id = c.id) AS n FROM crm.customers c;
-- UNION
SELECT city FROM crm.customers UNION SELECT city FROM crm.cities;
-- UNION ALL over sources
SELECT id FROM crm.customers WHERE id < 5 UNION ALL SELECT id FROM desk.notes WHERE id < 5;
-- EXCEPT
SELECT id FROM crm.customers EXCEPT SELECT customer_id FROM shop.orders;
-- OFFSET in an order whose column nobody reads
SELECT count(*), sum(n.id) FROM (SELECT id, rating FROM desk.notes ORDER BY rating NULLS FIRST, id OFFSET 7) n;
-- OFFSET in an order, below a join of two sources
SELECT n.id, c.vip FROM (SELECT id, rating FROM desk.notes ORDER BY rating DESC NULLS LAST, id OFFSET 5) n LEFT JOIN crm.customers c ON c.id = n.id;
-- EXCEPT ALL takes away one for one
SELECT customer_id FROM shop.orders EXCEPT ALL SELECT id FROM crm.customers;
-- EXCEPT ALL of one source, with NULLs
SELECT units, placed FROM shop.orders EXCEPT ALL SELECT units, placed FROM shop.orders WHERE id > 9000000500;
-- INTERSECT ALL keeps the fewer
SELECT vip FROM crm.customers INTERSECT ALL SELECT vip FROM crm.customers WHERE id < 20;
-- INTERSECT
SELECT name FROM crm.customers INTERSECT SELECT author FROM desk.notes;
-- WITH
WITH busy AS (SELECT customer_id, count(*) AS n FROM shop.orders GROUP BY customer_id HAVING count(*) >= 6)
SELECT c.name, b.n FROM busy b JOIN crm.customers c ON c.id = b.customer_id;
-- window functions
SELECT id, customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY id) AS n, sum(total) OVER (PARTITION BY customer_id ORDER BY id) AS s
FROM shop.orders WHERE customer_id < 20;
-- GROUPING SETS
SELECT segment, vip, count(*) AS n FROM crm.customers GROUP BY GROUPING SETS ((segment, vip), (segment), ());
-- aggregate of a join across sources [ordered]
SELECT c.segment, count(*) AS n, sum(o.total) AS total FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id
GROUP BY c.segment ORDER BY total DESC, c.segment LIMIT 3;
-- aggregate of a join in one source
SELECT o.customer_id, sum(p.amount) AS paid, count(*) AS n FROM shop.orders o JOIN shop.payments p ON p.order_id = o.id GROUP BY o.customer_id;
-- subquery in FROM with LIMIT below a filter [ordered]
SELECT id, total FROM (SELECT id, total FROM shop.orders ORDER BY id LIMIT 50) s WHERE total > 2500 ORDER BY id;
-- filter above an aggregate
SELECT n, count(*) AS groups FROM (SELECT customer_id, count(*) AS n FROM shop.orders GROUP BY customer_id) s WHERE n > 3 GROUP BY n;
-- the same expression twice
SELECT id, id, 1, 1 FROM crm.customers WHERE id < 5;
-- decimal division, likewise
SELECT id, CAST(total / 3 AS numeric(20,4)) AS third FROM shop.orders WHERE total > 4000;
-- double against a huge literal
SELECT id, weight FROM shop.orders WHERE weight < 1e300 AND weight > 1e-300;
-- double cast to int rounds half to even
SELECT id, CAST(weight AS int) AS w FROM shop.orders WHERE weight < 200;
-- numeric cast to int rounds half away from zero
SELECT CAST(2.5::numeric(10,2) AS int) AS a, CAST(-2.5::numeric(10,2) AS int) AS b, CAST(2.5::float8 AS int) AS c;
-- a sign binds more tightly than a power
SELECT id, -2^2 AS a, -id % 3 AS b, 2 - -id AS c FROM crm.customers WHERE id < 5;
-- a cast to a text of limited length cuts
SELECT id, name::varchar(3) AS a, CAST(city AS character varying(2)) AS b, 12345::varchar(3) AS c FROM crm.customers;
-- intervals compare by their length
SELECT interval '1 month' = interval '30 days' AS a, interval '1 day' < interval '25 hours' AS b,
interval '29 days' BETWEEN interval '3 weeks' AND interval '1 month' AS c, interval '24 hours' IN (interval '1 day') AS d;
-- text range, SQLite NOCASE column
SELECT id, author FROM desk.notes WHERE author > 'a' AND author < 'o';
-- text range, MariaDB case-insensitive column
SELECT id, status FROM shop.orders WHERE status BETWEEN 'OPEN' AND 'open';
-- LIKE on a MariaDB binary column [none]
SELECT id FROM shop.orders WHERE code LIKE 'c%';
-- LIKE without a wildcard keeps trailing spaces
SELECT p.id, method, status FROM shop.orders o JOIN shop.payments p ON p.order_id = o.id WHERE status LIKE 'open' OR method LIKE 'card';
-- upper in a filter, MariaDB
SELECT id, status FROM shop.orders WHERE upper(status) = 'ÖPEN' OR lower(status) = 'open';
-- upper in a filter, SQLite
SELECT id, author FROM desk.notes WHERE upper(author) IN ('ÁNNA', 'ANNA', 'NÉE');
-- regular expression, PostgreSQL
SELECT id, name FROM crm.customers WHERE name ~ '^\w+$' OR name ~ '%|\\';
-- regular expression, MariaDB
SELECT id, status FROM shop.orders WHERE status ~ '^o' AND status !~ ' $';
-- regular expression, SQLite
SELECT id, author FROM desk.notes WHERE author ~* '^an+a' OR author !~ '[a-z]';
-- TopN with NULLs, SQLite [ordered]
SELECT id, rating FROM desk.notes ORDER BY rating DESC, id LIMIT 40;
-- LIMIT over a padded comparison
SELECT count(*) AS n FROM (SELECT id FROM shop.payments WHERE method = 'card' LIMIT 20) s;
-- integer division in a filter, MariaDB
SELECT id, units FROM shop.orders WHERE units / 7 = 2 OR units / 7 = 0 OR units % 4 = -1;
-- integer division in a filter, SQLite
SELECT id FROM desk.notes WHERE id / 7 = 2 OR -id % 7 = -3;
-- integers beyond 32 bits in a filter
SELECT id FROM shop.orders WHERE id * 1000000 > 9000001400000000 AND -id < 0;
-- averages of integers, by group
SELECT customer_id, CAST(avg(id) AS numeric(20,4)) AS a, CAST(avg(units) AS numeric(20,4)) AS u FROM shop.orders GROUP BY customer_id;
-- sums and averages, SQLite
SELECT author, sum(order_id) AS s, CAST(avg(id) AS numeric(20,6)) AS a, avg(rating) AS r FROM desk.notes GROUP BY author;
-- min and max of double, without NaN
SELECT min(score) AS l, max(score) AS h FROM crm.customers WHERE score <> 'NaN'::float8;
-- min and max of double, MariaDB and SQLite
SELECT min(weight) AS l, max(weight) AS h, (SELECT min(rating) FROM desk.notes) AS r, (SELECT max(rating) FROM desk.notes) AS s FROM shop.orders;
-- GROUP BY a double with NaN
SELECT score, count(*) AS n FROM crm.customers GROUP BY score;
-- double against zero
SELECT id, weight FROM shop.orders WHERE weight = 0 OR weight = -0.0 OR weight > -0.0 AND weight < 40;
-- timestamp against a finer literal
SELECT id, placed_at FROM shop.orders WHERE placed_at > TIMESTAMP '2023-01-01 00:00:00.0000004' AND placed_at <= '2024-01-01 00:00:00.9999996';
-- timestamp against a date
SELECT id, placed_at FROM shop.orders WHERE placed_at >= DATE '2023-06-01' AND placed < TIMESTAMP '2024-06-01 00:00:01';
-- months end where they end
SELECT id, joined + interval '1 month' AS a, joined - interval '1 month' AS b FROM crm.customers;
-- date arithmetic in a filter
SELECT id, placed FROM shop.orders WHERE placed > DATE '2024-03-31' - interval '1 month' AND placed + interval '1 month' <= DATE '2024-09-30';
-- days between dates
SELECT id, placed - DATE '2020-01-31' AS days FROM shop.orders WHERE placed - DATE '2020-01-31' > 100;
-- what two clocks and dice would tell
SELECT count(*) AS n FROM shop.orders WHERE random() < 2 AND placed_at < now() AND placed <= current_date;
-- concatenation with NULL
SELECT id, segment || '-' || city AS a, concat(segment, '-', city) AS b FROM crm.customers WHERE segment || city IS NULL OR id < 30;
-- concatenation with NULL, MariaDB
SELECT id, status || code AS a FROM shop.orders WHERE concat(status, code) = code OR status || code = 'openC001' OR status IS NULL;
-- an empty text is not NULL
SELECT id, author, coalesce(author, '?') AS c FROM desk.notes WHERE author = '' OR author IS NULL OR length(author) = 0;
-- NOT IN over a column with NULLs, in one source
SELECT id FROM shop.orders WHERE customer_id NOT IN (1, 2, 3) AND id NOT IN (SELECT order_id FROM shop.payments);
-- HAVING on case-insensitive text
SELECT min(status) AS s, count(*) AS n FROM shop.orders GROUP BY status HAVING max(status) >= 'a';
-- min and max of NOCASE text
SELECT min(author) AS a, max(author) AS b FROM desk.notes;
-- what stands in parentheses stays together
SELECT id, id - (5 - 3) AS a, -(id - 7) AS b, (id + 2) * 3 AS c, 100 / (id / 2 + 1) AS d FROM crm.customers
WHERE NOT (vip AND id < 50 OR segment IS NULL) AND (id < 40 OR id > 60) = (id % 2 = 0) AND (id BETWEEN 1 AND 90) IS TRUE;
-- an alias that is another column's name
SELECT s.id AS balance, s.balance AS id FROM (SELECT balance AS id, id AS balance FROM crm.customers) s WHERE s.balance < 10;
-- the first of each group, PostgreSQL
SELECT id, segment, n FROM (SELECT id, segment, row_number() OVER (PARTITION BY segment ORDER BY balance DESC NULLS LAST, id) AS n FROM crm.customers) s WHERE n <= 2;
-- the first of each group, MariaDB
SELECT id, customer_id, n FROM (SELECT id, customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY total DESC, id) AS n FROM shop.orders) s WHERE n <= 2;
-- the first of each group, SQLite
SELECT id, n FROM (SELECT id, rank() OVER (PARTITION BY id % 5 ORDER BY id DESC) AS n FROM desk.notes) s WHERE n = 1;
-- windows with frames, PostgreSQL
SELECT id, sum(balance) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s, max(balance) OVER (PARTITION BY vip) AS a,
count(balance) OVER (ORDER BY balance) AS c, min(joined) OVER (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING) AS m FROM crm.customers;
-- windows with frames, MariaDB
SELECT id, sum(total) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s, max(placed) OVER (PARTITION BY customer_id) AS a,
count(*) OVER (ORDER BY total RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS c FROM shop.orders;
-- windows with frames, SQLite
SELECT id, count(*) OVER (ORDER BY id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING) AS c, max(id) OVER (PARTITION BY id % 3 ORDER BY id) AS m FROM desk.notes;
-- whole windows that have an order, in each source
SELECT id, sum(balance) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS a,
count(*) OVER (PARTITION BY vip ORDER BY id RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS b FROM crm.customers;
-- whole windows that have an order, MariaDB
SELECT id, sum(total) OVER (PARTITION BY customer_id ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS a,
max(id) OVER (ORDER BY id GROUPS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS b FROM shop.orders;
-- whole windows that have an order, SQLite
SELECT id, max(id) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS a FROM desk.notes;
-- ranks without an order
SELECT id, rank() OVER (PARTITION BY customer_id) AS a, dense_rank() OVER () AS b FROM shop.orders;
-- windows over texts of every collation
SELECT id, rank() OVER (ORDER BY name) AS a, rank() OVER (ORDER BY segment) AS b, count(*) OVER (PARTITION BY name) AS c FROM crm.customers;
-- windows over a double
SELECT id, rank() OVER (ORDER BY score NULLS FIRST) AS r, count(*) OVER (PARTITION BY score) AS c FROM crm.customers;
-- a window above a join, an aggregate and a limit in one source
SELECT s.*, dense_rank() OVER (ORDER BY n DESC) AS r FROM (SELECT o.customer_id, count(*) AS n FROM shop.orders o JOIN shop.payments p ON p.order_id = o.id
GROUP BY o.customer_id ORDER BY o.customer_id LIMIT 30) s;
-- windows of windows, joined and grouped
SELECT r, count(*) AS n FROM (SELECT rank() OVER (ORDER BY c) AS r FROM (SELECT count(*) OVER (PARTITION BY customer_id) AS c FROM shop.orders) s) t GROUP BY r;
-- a window whose rows are joined with another source
SELECT c.name, o.n FROM crm.customers c JOIN (SELECT customer_id, id, row_number() OVER (PARTITION BY customer_id ORDER BY id) AS n FROM shop.orders) o
ON o.customer_id = c.id WHERE o.n = 3 AND c.vip;
-- a window over an aggregate
SELECT customer_id, sum(total) AS s, rank() OVER (ORDER BY sum(total) DESC NULLS LAST) AS r FROM shop.orders GROUP BY customer_id;
-- a key of one joined table decides nothing of the other [ordered]
SELECT c.id, o.placed, count(*) AS n FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id
GROUP BY c.id, o.placed ORDER BY c.id, o.placed DESC NULLS LAST LIMIT 200;
-- the same in one source [ordered]
SELECT o.id, p.amount, count(*) AS n FROM shop.orders o JOIN shop.payments p ON p.order_id >= o.id AND p.order_id < o.id + 30
GROUP BY o.id, p.amount ORDER BY o.id, p.amount DESC LIMIT 200;
-- distinct rows in the order of two keys [ordered]
SELECT DISTINCT c.id, o.id AS order_id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id ORDER BY c.id, o.id DESC LIMIT 200;
-- groups of groups
SELECT q.id, count(*) AS groups, sum(q.n) AS n FROM (SELECT c.id, o.placed, count(*) AS n FROM crm.customers c
JOIN shop.orders o ON o.customer_id = c.id GROUP BY c.id, o.placed) q GROUP BY q.id;
-- groups of groups by all of their keys
SELECT q.k, q.method, sum(q.n) AS n FROM (SELECT s.k, p.method, p.amount, count(*) AS n
FROM (SELECT customer_id AS k, count(*) AS c FROM shop.orders GROUP BY customer_id) s
JOIN shop.orders o ON o.customer_id = s.k JOIN shop.payments p ON p.order_id = o.id GROUP BY s.k, p.method, p.amount) q GROUP BY q.k, q.method;
-- groups of groups of groups
SELECT q.k, count(*) AS n FROM (SELECT s.k, p.amount, count(*) AS n
FROM (SELECT customer_id AS k, count(*) AS c FROM shop.orders GROUP BY customer_id) s
JOIN shop.orders o ON o.customer_id = s.k JOIN shop.payments p ON p.order_id = o.id GROUP BY s.k, p.amount) q GROUP BY q.k;
-- groups of a subquery joined, in the order of two keys [ordered]
SELECT s.k, p.amount, count(*) AS n FROM (SELECT customer_id AS k, count(*) AS c FROM shop.orders GROUP BY customer_id) s
JOIN shop.orders o ON o.customer_id = s.k JOIN shop.payments p ON p.order_id = o.id
GROUP BY s.k, p.amount ORDER BY s.k, p.amount DESC LIMIT 100;
-- columns that a key decides
SELECT c.id, c.name, c.balance, upper(c.segment) AS s, count(*) AS n FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id
GROUP BY c.id HAVING c.balance > 0;
-- a condition on the side of a right join that has no row
SELECT c.id, o.id AS order_id FROM crm.customers c RIGHT JOIN shop.orders o ON o.customer_id = c.id WHERE c.id + 1 = 5;
-- a condition on a text of that side
SELECT count(*) AS n, count(c.id) AS c FROM crm.customers c RIGHT JOIN shop.orders o ON o.customer_id = c.id WHERE length(c.name) > 4;
-- a condition on a column that both sides of a right join have, in one source
SELECT count(*) AS n, sum(a.id) AS s FROM shop.orders a RIGHT JOIN shop.orders b ON a.units = b.units AND b.id % 3 = 0 WHERE a.id + 1 > 9000000600;
-- a condition on one of two columns of a name, files
SELECT count(*) AS n, sum(a.quantity) AS s FROM lake.lineitems a RIGHT JOIN lake.lineitems b ON a.order_id = b.order_id AND a.line = b.line + 1
WHERE a.quantity + 1 > 20;
-- a condition on one of two columns of a name, full join
SELECT count(*) AS n, min(a.id) AS a, min(b.id) AS b FROM crm.customers a FULL JOIN crm.customers b ON a.id = b.id + 10 WHERE coalesce(a.id, -1) + 1 > 50;
-- a join narrows the column that it is about
SELECT n.id, count(*) AS c FROM desk.notes n JOIN (SELECT a.id AS x, b.id FROM shop.orders a JOIN crm.customers b ON a.customer_id = b.id) s
ON n.id = s.id WHERE n.id < 30 GROUP BY n.id;
-- two tables with a column of one name, joined with a third by either
SELECT n.id AS note, o.id AS order_id, c.id AS customer FROM desk.notes n JOIN shop.orders o ON n.order_id = o.id
JOIN crm.customers c ON c.id = o.customer_id WHERE c.id < 40 AND o.id > 9000000100;
-- a filter of an aggregate with arithmetic
SELECT count(*) FILTER (WHERE id - 3 > 0) AS a, sum(units) FILTER (WHERE (id - 1) * 2 > id + 7) AS b FROM shop.orders;
-- a sum of decimals beside a sum of distinct values
SELECT units, sum(DISTINCT units) AS s FROM shop.orders GROUP BY units HAVING sum(total) > 0;
-- NOT IN of a constant, over NULLs [none]
SELECT id FROM crm.customers WHERE 100 NOT IN (SELECT units FROM shop.orders);
-- NOT IN of a constant, without NULLs
SELECT id FROM crm.customers WHERE 100 NOT IN (SELECT units FROM shop.orders WHERE units IS NOT NULL);
-- NOT IN over NULLs, beside OR
SELECT id FROM crm.customers WHERE id < 5 OR id + 1000 NOT IN (SELECT customer_id FROM shop.orders);
-- NOT of IN over NULLs and another condition
SELECT id FROM crm.customers WHERE NOT (id + 110 IN (SELECT customer_id FROM shop.orders) AND vip);
-- IN over NULLs that is not known
SELECT id FROM crm.customers WHERE (id + 1000 IN (SELECT customer_id FROM shop.orders)) IS NULL AND id < 4;
-- IN over NULLs in CASE
SELECT id FROM crm.customers WHERE CASE WHEN id IN (SELECT customer_id FROM shop.orders) THEN vip ELSE id < 9 END;
-- NOT IN that names a row from outside
SELECT id FROM crm.customers c WHERE id NOT IN (SELECT customer_id FROM shop.orders o WHERE o.placed > c.joined AND o.units > 30);
-- NOT IN of a text that may be NULL, from outside
SELECT id FROM crm.customers c WHERE segment NOT IN (SELECT status FROM shop.orders o WHERE o.customer_id = c.id);
-- a window over values sorted by bytes
SELECT id, rank() OVER (ORDER BY '\x61'::bytea), count(*) OVER (ORDER BY '\x61'::bytea, id) FROM crm.customers;
-- a grouping by one column twice
SELECT segment, count(*) FROM crm.customers GROUP BY segment, segment;
-- nullif of a rounded average
SELECT DISTINCT nullif(a, 100.0) FROM (SELECT units, round(avg(total), 2) AS a FROM shop.orders GROUP BY units) t;
-- round to tens
SELECT id, round(total, -1), coalesce(round(total, 1), 0.25) FROM shop.orders;
-- regular expression for a backslash
SELECT id, name FROM crm.customers WHERE name ~ '\\';
-- regular expression whose point is the end of a line
SELECT id, name FROM crm.customers WHERE name || chr(10) || 'x' ~ '^a.*.x$' AND regexp_replace(name || chr(10), 'a.$', '-') LIKE '%-';
-- rows that are equal
SELECT id FROM crm.customers WHERE (segment, vip) = ('retail', true) OR (id + 0, segment) = (7, 'Retail');
-- rows that differ
SELECT id FROM crm.customers WHERE (segment, vip) <> ('retail', true);
-- rows in a list
SELECT id FROM crm.customers WHERE (segment, upper(city)) IN (('retail', 'OSLO'), ('public', 'LISBON'), ('wholesale', NULL));
-- rows not in a list
SELECT id FROM crm.customers WHERE (segment, city) NOT IN (('retail', 'Oslo'), ('public', NULL));
-- rows behind one, as pages are read [ordered]
SELECT joined, id FROM crm.customers WHERE (joined, id) > (DATE '2021-06-01', 50) ORDER BY joined, id LIMIT 10;
-- moments beyond what nanoseconds hold
SELECT id, joined::timestamp, DATE '9999-12-31'::timestamp FROM crm.customers WHERE seen BETWEEN TIMESTAMP '1000-01-01' AND TIMESTAMP '9999-12-31 23:59:59';
-- full join by a shared column, which is that of the side that has a row
SELECT city, c.id, country FROM crm.customers c FULL JOIN crm.cities USING (city) WHERE city IS NULL OR city < 'M';
-- full join by a shared column, all columns [ordered]
SELECT * FROM (SELECT customer_id AS id, units FROM shop.orders) o FULL JOIN crm.customers c USING (id) ORDER BY id, units, c.name LIMIT 40;
-- right join by a shared column, grouped by it
SELECT order_id, count(amount), max(quantity) FROM shop.payments RIGHT JOIN lake.lineitems USING (order_id) GROUP BY order_id;
-- dates among moments
SELECT id, joined FROM crm.customers WHERE joined IN (TIMESTAMP '2021-01-01', TIMESTAMP '9999-12-31') OR joined BETWEEN TIMESTAMP '2020-06-01 12:00' AND DATE '2020-09-01';
-- dates beside instants
SELECT id FROM crm.customers WHERE joined < TIMESTAMPTZ '9999-12-31 00:00:00+00' AND DATE '9999-12-31' > TIMESTAMPTZ '2020-01-01 00:00:00+00';
-- one value that no row has
SELECT id, coalesce((SELECT code FROM shop.orders WHERE id = 1), 'none') AS x, (SELECT id FROM shop.orders WHERE id = 1) + 1 AS y FROM crm.customers;
-- ANY and ALL of arrays with NULL
SELECT id FROM crm.customers WHERE NOT (id = ANY (ARRAY[1, 2])) AND (segment <> ALL (ARRAY['retail', NULL])) IS NULL;
-- a grouping of one source, joined with its own maximum
WITH sold AS (SELECT customer_id, sum(total) AS s FROM shop.orders GROUP BY customer_id)
SELECT c.name, sold.s FROM sold LEFT JOIN crm.customers c ON c.id = sold.customer_id WHERE sold.s = (SELECT max(s) FROM sold);
-- a grouping of PostgreSQL, joined with itself
WITH towns AS (SELECT vip, count(*) AS n, max(balance) AS most FROM crm.customers GROUP BY vip)
SELECT a.vip, b.vip, a.n, b.most FROM towns a JOIN towns b ON a.n >= b.n;
-- a grouping over two sources, with its first row and its sum
WITH sold AS (SELECT c.vip, max(o.total) AS most FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id GROUP BY c.vip)
SELECT a.vip, a.most, b.vip, (SELECT sum(most) FROM sold) FROM (SELECT vip, most FROM sold ORDER BY most, vip LIMIT 1) a CROSS JOIN sold b;
-- a grouping that has a subquery in it, with its own maximum
WITH sold AS (SELECT c.vip, count(*) AS n FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id
WHERE o.total > (SELECT avg(total) FROM shop.orders) GROUP BY c.vip)
SELECT vip, n FROM sold WHERE n = (SELECT max(n) FROM sold);
-- one value of a grouping, several times
WITH mean AS (SELECT avg(total) AS m FROM shop.orders)
SELECT id FROM shop.orders WHERE total > (SELECT m FROM mean) AND id < 9000000200
UNION ALL SELECT id FROM shop.orders WHERE total < (SELECT m FROM mean) AND id > 9000000800;
-- a condition that never holds, above a count [none]
SELECT n FROM (SELECT count(*) AS n FROM crm.customers) t WHERE n = 7 AND n = 2;
-- a subquery that decides on a count [none]
SELECT n FROM (SELECT count(*) AS n FROM crm.customers) t WHERE (SELECT max(id) FROM shop.orders) < 0;
-- a count of none above a count
SELECT count(*) FROM (SELECT max(id) AS n FROM shop.orders) t WHERE n IS NULL AND n = 3;
-- days between dates of a file
SELECT a.order_id, a.line, b.shipped - a.shipped AS days FROM lake.lineitems a JOIN lake.lineitems b ON b.order_id = a.order_id
WHERE a.shipped - b.shipped BETWEEN 1 AND 31 OR a.shipped - b.shipped = -31;
-- integers that are written down, in sums
SELECT segment, sum(CASE WHEN vip THEN 1 ELSE 0 END) / count(*) AS a, sum(id % 1000) / 7 AS b, sum(id - 1) / 10 AS c FROM crm.customers GROUP BY segment;
-- integers that are written down, in sums over two sources
SELECT c.segment, sum(o.units % 100) / 7 AS a, sum(CASE WHEN o.total > 100 THEN 3 ELSE 2 END) / 5 AS b, sum(v.n) / 2 AS c
FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id JOIN (VALUES (1), (2), (3000000)) v(n) ON v.n < c.id + 3000000 GROUP BY c.segment;
-- whether there are rows, as a value
SELECT EXISTS (SELECT 1 FROM shop.orders) AS a, EXISTS (SELECT 1 FROM lake.lineitems WHERE quantity < 0) AS b, NOT EXISTS (SELECT 1 FROM crm.cities) AS c;
-- whether there are rows of each row, as values
SELECT c.id, EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id) AS a, EXISTS (SELECT 1 FROM crm.cities t WHERE t.city = c.city AND t.population > c.id) AS b,
CASE WHEN NOT EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id AND o.total > 100) THEN 'small' ELSE c.segment END AS d FROM crm.customers c;
-- IN over a subquery as a value, with NULL on both sides
SELECT c.id, c.city IN (SELECT city FROM crm.cities) AS a, c.city NOT IN (SELECT author FROM desk.notes) AS b, c.id IN (SELECT customer_id FROM shop.orders) AS d,
c.id NOT IN (SELECT customer_id FROM shop.orders WHERE id < 0) AS e FROM crm.customers c;
-- rows counted by whether there are others
SELECT c.segment, count(*) FILTER (WHERE EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id)) AS n,
sum(CASE WHEN c.id IN (SELECT customer_id FROM shop.orders WHERE total > 100) THEN 1 ELSE 0 END) AS s FROM crm.customers c GROUP BY c.segment;
-- an order by whether there are others [ordered]
SELECT c.id FROM crm.customers c ORDER BY EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id), c.id LIMIT 30;
-- grouping sets by what is computed with integers
SELECT id % 10 AS k, count(*) AS n FROM crm.customers GROUP BY ROLLUP (id % 10);
-- a cube by a case
SELECT CASE WHEN id > 100 THEN 'high' ELSE 'low' END AS k, vip, count(*) AS n FROM crm.customers GROUP BY CUBE (CASE WHEN id > 100 THEN 'high' ELSE 'low' END, vip);
-- a cube by a constant
SELECT segment, timestamp '2024-01-31 10:30:00' AS t, count(*) AS n FROM crm.customers GROUP BY CUBE (segment, timestamp '2024-01-31 10:30:00');
-- sums of united integers
SELECT sum(x) / 2 AS a FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT units FROM shop.orders WHERE id < 9000000003) t;
-- sums of integers that are left
SELECT sum(x) / 2 AS a FROM (SELECT units AS x FROM shop.orders EXCEPT SELECT 5) t;
-- types of what is left, of a case and of days
SELECT CASE WHEN id < 0 THEN 100.0 ELSE 1.2345 END AS a, joined AS b FROM crm.customers
EXCEPT SELECT 99.99, placed - interval '1 month' FROM shop.orders;
-- rows of casts
SELECT max(v) AS a, sum(w) / 2 AS b FROM (VALUES ('9'::bigint, 3), ('10'::bigint, NULL), (1.6::bigint, 4)) t(v, w);
-- one of a list, and none of a list with NULL [none]
SELECT id FROM crm.customers WHERE balance IN (0.0, 1.2345, 10.5) AND balance <> ALL (ARRAY[0.0001, NULL]);
-- NOT IN of a constant, correlated by a column with NULL
SELECT c.id FROM crm.customers c WHERE date '1900-01-01' NOT IN (SELECT date '1900-01-01' FROM shop.orders o WHERE o.weight = c.score);
-- an order by a constant of the other side [ordered]
SELECT x.one, c.id FROM crm.customers c FULL JOIN (SELECT 1 AS one FROM desk.notes WHERE id < 4) x ON x.one = c.id ORDER BY 1 DESC, 2;
-- no rows of a full join by a shared column
SELECT c.id FROM crm.customers c WHERE NOT EXISTS (SELECT 1 FROM (SELECT weight AS w FROM shop.orders WHERE id % 2 = 0) a
FULL JOIN (SELECT weight AS w FROM shop.orders WHERE id % 3 = 0) b USING (w) WHERE w = c.score);
-- an order by a constant that a left join fills up [ordered]
SELECT x.one, c.id FROM crm.customers c LEFT JOIN (SELECT 7 AS one, id FROM desk.notes WHERE id < 40) x ON x.id = c.id ORDER BY 1 DESC, 2;
-- a subquery of two tables whose columns have one name
SELECT c.id FROM crm.customers c WHERE EXISTS (SELECT 1 FROM shop.payments p JOIN desk.notes n ON n.order_id = p.order_id WHERE p.id = c.id AND n.id < c.id + 40);
-- a value of two tables whose columns have one name
SELECT c.id, (SELECT count(*) FROM desk.notes n CROSS JOIN shop.payments p WHERE n.id = c.id AND p.id = c.id AND n.author <> p.method) AS n FROM crm.customers c;
-- IN over two tables whose columns have one name
SELECT c.id FROM crm.customers c WHERE c.id IN (SELECT n.id FROM desk.notes n JOIN shop.payments p ON p.order_id = n.order_id WHERE p.id <> c.id);
-- rows of each row, from integers that are written down
SELECT v.x, l.n FROM (VALUES (1, 2), (2, 3), (4, NULL)) v(x, y) JOIN LATERAL (SELECT count(*) AS n, min(o.id) AS m FROM shop.orders o WHERE o.units = v.x) l ON true;
