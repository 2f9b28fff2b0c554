<?php
if ($_SERVER['REQUEST_URI'] === '/version') {
    header('Content-Type: application/json');
    exit(json_encode(['commit' => file_get_contents('/app/COMMIT')]));
}
echo '<p>hello from PHP-FPM</p>';
