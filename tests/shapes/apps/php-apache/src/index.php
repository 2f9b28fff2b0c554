<?php
if (str_ends_with($_SERVER['REQUEST_URI'], '/version')) {
    header('Content-Type: application/json');
    exit(json_encode(['commit' => file_get_contents('/app/COMMIT')]));
}
session_start();
echo '<p>hello from mod_php</p>';
